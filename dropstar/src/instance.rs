//! What the server shows of the instance around it.

use std::time::{Duration, SystemTime};

use unidist::Unidist;

use crate::{BoxFuture, EventKind, Failure, Map, Value};

/// Is told what happens: what it is about, the name of the run-thread or series, and how to make the event's data, which
/// is asked for only where somebody follows it. Must not wait. Gives false when it wants to hear no more.
pub type Sink = Box<dyn Fn(EventKind, &str, &dyn Fn() -> Map) -> bool + Send + Sync>;

/// The instance around the server: what the status pages, the events and the graphs show.
pub trait Instance: Send + Sync {
    /// The shared things.
    fn unidist(&self) -> &Unidist;

    /// Asks the instance by name, as its control socket does: `about`, `status`, `threads`, `thread`,
    /// `durations`, `logs`, `series`, `series.info`, `series.fetch`, `sources`.
    ///
    /// # Errors
    /// The name is unknown, an argument is wrong, or what was asked for is not there.
    fn call<'a>(&'a self, name: &'a str, arguments: Map) -> BoxFuture<'a, Result<Value, Failure>>;

    /// Draws a series.
    ///
    /// # Errors
    /// There is no such series, or it could not be drawn.
    fn draw<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;

    /// Tells the results of run-threads (`{name, result, age, runs, error}`), the samples of series (`{name, time,
    /// values}`) and the lines of the log (`{lines}`) as they come. The store is watched by itself.
    fn follow(&self, sink: Sink);

    /// The newest event of a run-thread, a series or the log, as `follow` tells it.
    fn newest(&self, kind: EventKind, name: &str) -> Option<Map>;
}

/// A picture of a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Graph {
    /// The series' name: its file relative to the instance's folder, without `.rrd`.
    pub series: String,
    /// Its oldest moment.
    pub from: SystemTime,
    /// Its newest moment.
    pub to: SystemTime,
    /// In pixels, 100 to 4,000.
    pub width: u32,
    /// In pixels, 50 to 4,000.
    pub height: u32,
    /// How it is drawn.
    pub format: GraphFormat,
    /// Dark colours.
    pub is_dark: bool,
    /// How old a kept picture may be.
    pub age_max: Duration,
}

/// The formats of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GraphFormat {
    /// image/png
    Png,
    /// image/svg+xml
    Svg,
}
