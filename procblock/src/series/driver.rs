//! The thread that owns the helper: sends what is due, and starts another helper when one dies.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::came_of::{fail, is_newer, line, recover, refused_first, tell, tell_created};
use super::client::{Graph, Question, Shared, State};
use super::failure::SeriesFailure;
use super::helper::{Helper, Reply, unexpected};
use super::pending::Batch;
use super::protocol::{Answer, Kind, Outcome, Request, Source};

/// The longest wait before another helper is started.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// A batch that so many helpers died of is split by series; a series' batch that as many die of again is dropped.
const DEATHS_MAX: u32 = 3;

/// Graphs that still wait at a stop are drawn for so long.
const LAST_GRAPHS: Duration = Duration::from_millis(250);

struct Driver<'a> {
    shared: &'a Shared,
    helper: Option<Helper>,
    /// Taken and not confirmed, in order.
    batches: VecDeque<Batch>,
    /// Helpers that died or did not start, since the last answer.
    failures: u32,
    not_before: Option<Instant>,
    /// The last failure told, so that each is told once.
    told: String,
    /// A stop was seen, and held samples were tried once more.
    has_last_try: bool,
}

enum Work {
    Batch,
    Question(Box<Question>),
    Graph(Graph),
    End,
}

/// Runs until a stop is asked for and everything is stored, or the stop's deadline is over.
pub(super) fn run(shared: &Shared) {
    let mut driver = Driver {
        shared,
        helper: None,
        batches: VecDeque::new(),
        failures: 0,
        not_before: None,
        told: String::new(),
        has_last_try: false,
    };
    loop {
        match driver.next() {
            Work::Batch => driver.send(),
            Work::Question(question) => driver.answer(*question),
            Work::Graph(graph) => driver.draw(&graph),
            Work::End => break,
        }
    }
    driver.end();
    shared.ended.request();
}

impl Driver<'_> {
    /// Waits for something to do: samples first, then questions, then graphs.
    fn next(&mut self) -> Work {
        let mut state = self.shared.state.lock();
        loop {
            let now = Instant::now();
            if state.stop_by.is_some_and(|by| now >= by) {
                return Work::End;
            }
            let until = match self.not_before.filter(|at| *at > now) {
                Some(at) => Some(at),
                None => {
                    if let Some(work) = self.due(&mut state, now) {
                        return work;
                    }
                    let retry_at = state.retry_at.filter(|_| state.stop_by.is_none());
                    [state.flush_at, retry_at].into_iter().flatten().min()
                }
            };
            // Past times are due already; a stop's deadline ends the back-off too.
            let until = [until, state.stop_by].into_iter().flatten().min();
            match until {
                Some(at) => {
                    self.shared.wake.wait_until(&mut state, at);
                }
                None => self.shared.wake.wait(&mut state),
            }
        }
    }

    fn due(&mut self, state: &mut State, now: Instant) -> Option<Work> {
        let is_stopping = state.stop_by.is_some();
        if is_stopping && self.failures >= DEATHS_MAX {
            return Some(Work::End);
        }
        if !self.batches.is_empty() {
            return Some(Work::Batch);
        }
        let is_last_try = is_stopping && !std::mem::replace(&mut self.has_last_try, is_stopping);
        if is_last_try || (!is_stopping && state.retry_at.is_some_and(|at| now >= at)) {
            state.retry_at = None;
            state.pending.release();
        }
        if state.pending.len() == 0 {
            state.flush_at = None;
        }
        let is_urgent = is_stopping || !state.questions.is_empty();
        if state.pending.len() > 0 && (is_urgent || state.flush_at.is_none_or(|at| now >= at)) {
            self.batches.push_back(state.pending.take());
            state.last_flush = Some(now);
            // What is left is more than a batch: it follows at once.
            state.flush_at = (state.pending.len() > 0).then_some(now);
            return Some(Work::Batch);
        }
        if state.questions.front().is_some_and(|question| state.pending.has_passed(question.mark)) {
            return state.questions.pop_front().map(|question| Work::Question(Box::new(question)));
        }
        let has_time = state.stop_by.is_none_or(|_| now < self.graphs_until(state, now));
        let ready = state.graphs.values().position(|graph| state.pending.has_passed(graph.mark));
        if let Some((_, graph)) = ready.filter(|_| has_time).and_then(|index| state.graphs.shift_remove_index(index)) {
            return Some(Work::Graph(graph));
        }
        is_stopping.then_some(Work::End)
    }

    /// When graphs are given up at a stop.
    fn graphs_until(&self, state: &mut State, now: Instant) -> Instant {
        *state.graphs_until.get_or_insert(now + LAST_GRAPHS)
    }

    fn send(&mut self) {
        let Some(batch) = self.batches.pop_front() else { return };
        let reply = self.with_helper(|helper| helper.exchange(Kind::Samples, &batch.encode()));
        match reply {
            Ok(Reply::Json(Answer::Stored(outcomes))) => self.stored(&batch, &outcomes),
            Ok(other) => self.refused(&batch, &unexpected(&other).to_string()),
            Err(Failed::Start) => {
                self.batches.push_front(batch);
                let questions = std::mem::take(&mut self.shared.state.lock().questions);
                for question in questions {
                    let _ = question.answer.send(Err(SeriesFailure::helper(self.told.clone())));
                }
            }
            Err(Failed::Died) => self.resend(batch),
        }
    }

    /// Keeps the samples of a dead helper for its successor.
    fn resend(&mut self, mut batch: Batch) {
        batch.sent_before = true;
        batch.deaths += 1;
        if batch.deaths < DEATHS_MAX {
            self.batches.push_front(batch);
        } else if batch.series() > 1 {
            // Each on its own: the others are not to be lost with the one that a helper dies of.
            batch.split().into_iter().rev().for_each(|part| self.batches.push_front(part));
        } else {
            self.refused(&batch, "procblock-series dies of them");
        }
    }

    fn refused(&self, batch: &Batch, reason: &str) {
        let mut state = self.shared.state.lock();
        for (entry, _) in batch.samples() {
            state.dropped(entry.series, 1, reason);
        }
    }

    fn stored(&self, batch: &Batch, outcomes: &[Outcome]) {
        let mut lines = Vec::new();
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let failed: HashSet<u32> = outcomes.iter().filter(|o| o.error.is_some()).map(|o| o.series).collect();
        let mut refused = refused_first(state, batch, outcomes);
        outcomes.iter().filter(|outcome| outcome.is_created).for_each(|outcome| tell_created(state, outcome));
        for (entry, values) in batch.samples().filter(|(entry, _)| !failed.contains(&entry.series)) {
            let Some(record) = state.records.get_mut(entry.series as usize) else { continue };
            record.has_file = true;
            record.status.stored += 1;
            state.totals.stored += 1;
            if !is_newer(record, entry.time) {
                continue;
            }
            if let Some(count) = refused.get_mut(&entry.series).filter(|count| **count > 0) {
                *count -= 1;
                continue;
            }
            record.stored(entry.time, values);
            if log::log_enabled!(log::Level::Info) {
                lines.push(line(&record.spec, entry.time, values));
            }
        }
        let recovered = recover(state, batch, &failed);
        for outcome in outcomes {
            tell(state, outcome);
        }
        let news = fail(state, batch, outcomes, &failed);
        drop(guard);
        for line in lines {
            log::info!("{line}");
        }
        if let Some(news) = news {
            log::warn!("{news}");
        } else if recovered {
            log::warn!("time series are stored again");
        }
    }

    fn answer(&mut self, question: Question) {
        let Some(request) = question.request else {
            let _ = question.answer.send(Ok(Reply::Json(Answer::Result(serde_json::Value::Null))));
            return;
        };
        let answer = match self.with_helper(|helper| helper.ask(&request)) {
            Ok(Reply::Json(Answer::Error(failure))) => Err(failure),
            Ok(reply) => Ok(reply),
            Err(_) => Err(SeriesFailure::helper(self.told.clone())),
        };
        let _ = question.answer.send(answer);
    }

    fn draw(&mut self, graph: &Graph) {
        let Some(spec) = self.shared.state.lock().records.get(graph.series as usize).map(|r| r.spec.clone()) else {
            return;
        };
        let source = Source { path: spec.path.clone(), rrdcached: spec.rrdcached.clone() };
        let request = Request::Draw { series: source, graph: (*graph.spec).clone(), now: graph.now };
        let failure = match self.with_helper(|helper| helper.ask(&request)) {
            Ok(Reply::Json(Answer::Result(_))) => None,
            Ok(other) => Some(unexpected(&other).to_string()),
            Err(_) => Some(self.told.clone()),
        };
        let mut state = self.shared.state.lock();
        state.totals.graphs += u64::from(failure.is_none());
        let path = graph.spec.path.display();
        match failure {
            None => {
                log::info!("Graphing RRD: {}: {path}", spec.path.display());
                state.graph_errors.remove(&graph.spec.path);
            }
            // Without samples in its file there is nothing to draw, and that was told.
            Some(_) if state.failing.contains_key(&graph.series) => {}
            Some(text) => {
                if state.graph_errors.insert(graph.spec.path.clone(), text.clone()).as_ref() != Some(&text) {
                    log::warn!("cannot draw {path}: {text}");
                }
            }
        }
    }

    /// Runs one exchange with a helper that is started and knows every series.
    fn with_helper(&mut self, exchange: impl FnOnce(&mut Helper) -> io::Result<Reply>) -> Result<Reply, Failed> {
        let mut helper = match self.helper.take() {
            Some(helper) => helper,
            None => Helper::start(&self.shared.executable).map_err(|error| self.not_started(&error))?,
        };
        let specs: Vec<Arc<_>> = {
            let mut state = self.shared.state.lock();
            state.helper_id = Some(helper.process_id());
            state.records.iter().skip(helper.declared()).map(|record| record.spec.clone()).collect()
        };
        match helper.declare(&specs).and_then(|()| exchange(&mut helper)) {
            Ok(reply) => {
                self.helper = Some(helper);
                if self.failures > 0 {
                    log::info!("procblock-series runs again");
                }
                self.failures = 0;
                self.told.clear();
                Ok(reply)
            }
            Err(error) => {
                drop(helper);
                self.failed(format!("procblock-series died and is started again: {error}"));
                self.shared.state.lock().totals.restarts += 1;
                Err(Failed::Died)
            }
        }
    }

    fn not_started(&mut self, error: &io::Error) -> Failed {
        let executable = self.shared.executable.display();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "; install it beside procblock (cargo build --features series, make install)",
            _ => "",
        };
        self.failed(format!("cannot start {executable}: {error}{remedy}"));
        Failed::Start
    }

    fn failed(&mut self, text: String) {
        self.shared.state.lock().helper_id = None;
        if text != self.told {
            log::warn!("{text}");
            self.told = text;
        }
        // The first death costs nothing: the successor starts at once.
        let wait = Duration::from_millis(100).saturating_mul(1 << self.failures.min(10));
        self.not_before = (self.failures > 0).then(|| Instant::now() + wait.min(BACK_OFF_MAX));
        self.failures += 1;
    }

    /// Closes the helper's input; it ends when all is in the files.
    fn end(&mut self) {
        let mut state = self.shared.state.lock();
        let left = state.stop_by.map_or(Duration::ZERO, |by| by.saturating_duration_since(Instant::now()));
        let unsent: usize = self.batches.iter().map(Batch::len).sum();
        state.lost_at_end = unsent + state.pending.len() + state.pending.held();
        if state.lost_at_end > 0 {
            log::error!("{} samples could not be stored before the end", state.lost_at_end);
        }
        state.questions.clear();
        state.helper_id = None;
        drop(state);
        if let Some(helper) = self.helper.take()
            && !helper.finish(left)
        {
            log::warn!("procblock-series still stores what it was given");
        }
    }
}

enum Failed {
    /// There is no helper.
    Start,
    /// It died, or did not answer.
    Died,
}
