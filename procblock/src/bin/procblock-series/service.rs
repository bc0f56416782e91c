//! One request after the other, each answered before the next is read.

use std::io::{self, Read, Write};
use std::path::Path;

use procblock::series::protocol::{Answer, Kind, Request, Source, VERSION, read_frame, write_frame};
use procblock::series::{FailureKind, SeriesFailure};
use serde::Serialize;
use unidist::timeseries::{SeriesError, draw, draw_to_file, fetch, info, last};

use super::store::Store;

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
    store: Store,
}

impl Service {
    fn handle(&mut self, request: Request, output: &mut impl Write) -> io::Result<()> {
        let done = match request {
            Request::Hello { .. } => Answer::Hello { protocol: VERSION },
            Request::Declare { series } => {
                match series.into_iter().try_for_each(|(number, spec)| self.store.declare(number, spec)) {
                    Ok(()) => Answer::Result(serde_json::Value::Null),
                    Err(error) => refused(error),
                }
            }
            Request::Draw { series, graph, now } => {
                told(self.written(&series).and_then(|path| draw_to_file(path, &graph, now)))
            }
            Request::Picture { series, graph, window, format } => {
                match self.written(&series).and_then(|path| draw(path, &graph, &window, format)) {
                    Ok(bytes) => return write_frame(output, Kind::Picture, &bytes),
                    Err(error) => failed(&error),
                }
            }
            Request::Fetch { series, consolidation, window } => {
                told(self.written(&series).and_then(|path| fetch(path, consolidation, &window)))
            }
            Request::Last { series } => told(self.written(&series).and_then(last)),
            Request::Info { series } => told(self.written(&series).and_then(info)),
        };
        answer(output, &done)
    }

    /// The file of a series, with everything in it that an rrdcached holds.
    fn written<'a>(&mut self, series: &'a Source) -> Result<&'a Path, SeriesError> {
        if let Some(address) = &series.rrdcached {
            self.store.flush(address, &series.path)?;
        }
        Ok(&series.path)
    }

    fn store(&mut self, body: &[u8]) -> Answer {
        match self.store.batch(body) {
            Ok(outcomes) => Answer::Stored(outcomes),
            Err(error) => refused(error),
        }
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
