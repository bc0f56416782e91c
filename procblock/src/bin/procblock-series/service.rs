//! One request after the other, each answered before the next is read.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use procblock::series::protocol::{Answer, BatchReader, Kind, Outcome, Request, VERSION, read_frame, write_frame};
use procblock::series::{FailureKind, SeriesFailure};
use serde::Serialize;
use unidist::timeseries::{SeriesError, SeriesFile, SeriesSpec, Stored, Undo, draw, draw_to_file, fetch, info, last};

/// Serves until the input ends.
///
/// # Errors
/// When the other side breaks the protocol or is gone while an answer is due.
pub(crate) fn run(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut service = Service::default();
    while let Some((kind, body)) = next(&mut input)? {
        match kind {
            Kind::Samples => answer(&mut output, &service.store(&body))?,
            Kind::Json => match serde_json::from_slice(&body) {
                Ok(request) => service.handle(request, &mut output)?,
                Err(error) => answer(&mut output, &refused(format!("the request is not understood: {error}")))?,
            },
            Kind::Picture => return Err(io::Error::new(io::ErrorKind::InvalidData, "a picture is no request")),
        }
    }
    Ok(())
}

fn next(input: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    match read_frame(input) {
        // A runner that was killed with an answer unread resets the socket: the same as its end.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => Ok(None),
        read => read,
    }
}

fn answer(output: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let body = serde_json::to_vec(answer)?;
    match write_frame(output, Kind::Json, &body) {
        // The runner is gone; what it sent before is still to be read and stored.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        written => written,
    }
}

#[derive(Default)]
struct Service {
    series: HashMap<u32, Series>,
    undo: Undo,
    values: Vec<f64>,
}

struct Series {
    spec: SeriesSpec,
    file: Option<SeriesFile>,
    /// Time and first value of each sample of the batch at hand.
    samples: Vec<(i64, usize)>,
}

impl Service {
    fn handle(&mut self, request: Request, output: &mut impl Write) -> io::Result<()> {
        let done = match request {
            Request::Hello { .. } => Answer::Hello { protocol: VERSION },
            Request::Declare { series } => {
                for (number, spec) in series {
                    self.series.insert(number, Series { spec, file: None, samples: Vec::new() });
                }
                Answer::Result(serde_json::Value::Null)
            }
            Request::Draw { series, graph, now } => told(draw_to_file(&series, &graph, now)),
            Request::Picture { series, graph, window, format } => match draw(&series, &graph, &window, format) {
                Ok(bytes) => return write_frame(output, Kind::Picture, &bytes),
                Err(error) => failed(&error),
            },
            Request::Fetch { series, consolidation, window } => told(fetch(&series, consolidation, &window)),
            Request::Last { series } => told(last(&series)),
            Request::Info { series } => told(info(&series)),
        };
        answer(output, &done)
    }

    fn store(&mut self, body: &[u8]) -> Answer {
        match self.sort(body) {
            Err(error) => refused(error),
            Ok((order, sent_before)) => {
                let mut outcomes = Vec::new();
                for number in order {
                    let outcome = self.store_series(number, sent_before);
                    if outcome != (Outcome { series: number, ..Outcome::default() }) {
                        outcomes.push(outcome);
                    }
                }
                self.undo.clear();
                Answer::Stored(outcomes)
            }
        }
    }

    /// Gives each series its samples, in their order; returns the series' numbers as they first come.
    fn sort(&mut self, body: &[u8]) -> Result<(Vec<u32>, bool), String> {
        let mut reader = BatchReader::new(body).ok_or("a batch is empty")?;
        let mut order = Vec::new();
        self.values.clear();
        self.series.values_mut().for_each(|series| series.samples.clear());
        loop {
            let start = self.values.len();
            let Some((number, time)) = reader.next_sample(&mut self.values)? else { break };
            let series = self.series.get_mut(&number).ok_or("a sample names a series that was not declared")?;
            if self.values.len() - start != series.spec.fields.len() {
                return Err(format!("a sample of {} has another number of values", series.spec.path.display()));
            }
            if series.samples.is_empty() {
                order.push(number);
            }
            series.samples.push((time, start));
        }
        Ok((order, reader.sent_before))
    }

    fn store_series(&mut self, number: u32, sent_before: bool) -> Outcome {
        let mut outcome = Outcome { series: number, ..Outcome::default() };
        let Some(series) = self.series.get_mut(&number) else { return outcome };
        match series.store(&self.values, &mut self.undo) {
            Ok(stored) if sent_before => outcome.rounded = stored.rounded,
            Ok(stored) => {
                (outcome.late, outcome.repeated, outcome.rounded) = (stored.late, stored.repeated, stored.rounded)
            }
            Err(error) => outcome.error = Some(error.to_string()),
        }
        outcome
    }
}

impl Series {
    fn store(&mut self, values: &[f64], undo: &mut Undo) -> Result<Stored, SeriesError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                undo.enter(&self.spec.path)?;
                SeriesFile::open(&self.spec, self.samples.first().map_or(0, |(time, _)| *time))?
            }
        };
        let noted = undo.note(&file);
        let fields = self.spec.fields.len();
        let rows =
            self.samples.iter().map(|(time, start)| (*time, values.get(*start..start + fields).unwrap_or_default()));
        let stored = file.update(rows);
        if let Some(noted) = noted {
            undo.done(noted);
        }
        // After an error the file is opened anew.
        let stored = stored?;
        self.file = Some(file);
        Ok(stored)
    }
}

fn told<T: Serialize>(result: Result<T, SeriesError>) -> Answer {
    match result.map(serde_json::to_value) {
        Ok(Ok(value)) => Answer::Result(value),
        Ok(Err(error)) => refused(error.to_string()),
        Err(error) => failed(&error),
    }
}

/// An answer to what the runner should not have said.
fn refused(text: String) -> Answer {
    Answer::Error(SeriesFailure { kind: FailureKind::Helper, text })
}

fn failed(error: &SeriesError) -> Answer {
    let kind = match error {
        SeriesError::Missing { .. } => FailureKind::Missing,
        SeriesError::Invalid { .. } => FailureKind::Invalid,
        SeriesError::Library { action: "read", .. } => FailureKind::Damaged,
        _ => FailureKind::Refused,
    };
    Answer::Error(SeriesFailure { kind, text: error.to_string() })
}
