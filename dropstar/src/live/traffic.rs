//! What the server has done since it began: requests by kind and outcome, how long they took, connections.
//!
//! Only kinds of routes are told apart, never paths or hosts, so that no client can make the counts grow without bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::exposition::{Exposition, Kind};
use crate::site::{Own, Route};

/// Upper bounds of durations, in seconds.
const BOUNDS: [(f64, &str); 12] = [
    (0.000_5, "0.0005"),
    (0.001, "0.001"),
    (0.002_5, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (5.0, "5"),
];

/// The classes of statuses.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The kinds of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteKind {
    Page,
    Procedure,
    Static,
    Own,
    Graph,
    Events,
    /// No such thing, a bad request, a broken file.
    None,
}

impl RouteKind {
    const ALL: [(RouteKind, &str); 7] = [
        (RouteKind::Page, "page"),
        (RouteKind::Procedure, "rpc"),
        (RouteKind::Static, "static"),
        (RouteKind::Own, "own"),
        (RouteKind::Graph, "graph"),
        (RouteKind::Events, "events"),
        (RouteKind::None, "none"),
    ];

    /// The kind of a route.
    pub(crate) fn of(route: &Route) -> RouteKind {
        match route {
            Route::Page(_) => RouteKind::Page,
            Route::Procedure(_) | Route::Own(Own::Procedures) => RouteKind::Procedure,
            Route::Static(_) | Route::Public(_) | Route::Folder(_) => RouteKind::Static,
            Route::Own(Own::Graph | Own::Series) => RouteKind::Graph,
            Route::Own(Own::Events) => RouteKind::Events,
            Route::Own(_) => RouteKind::Own,
            Route::Broken(_) | Route::Missing => RouteKind::None,
        }
    }
}

/// Up to this usual time requests are quick: dozens that are ready at once are answered in a few milliseconds.
const QUICK: Duration = Duration::from_micros(50);

/// A request that took longer counts as this, so that a single slow one does not matter for long.
const SLOW: Duration = Duration::from_millis(1);

/// How many requests the usual time is made of.
const USUAL_OF: u64 = 16;

/// The counts. Adding to them never waits.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    kinds: [Counts; RouteKind::ALL.len()],
    connections: AtomicU64,
    connections_open: AtomicU64,
    /// How long requests take of late, in nanoseconds.
    usual: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    statuses: [AtomicU64; STATUSES.len()],
    /// By upper bound, each without those below it; the last has none.
    durations: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// A connection; it is counted as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Traffic>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Counts a connection.
    pub(crate) fn connected(self: &Arc<Self>) -> Counted {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_open.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    /// Counts a request whose answer is made.
    pub(crate) fn answered(&self, kind: RouteKind, status: StatusCode, begun: Instant) {
        self.add(kind, status, begun.elapsed());
    }

    fn add(&self, kind: RouteKind, status: StatusCode, took: Duration) {
        let Some(counts) = self.kinds.get(kind as usize) else { return };
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(STATUSES.len() - 1);
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().take_while(|(bound, _)| seconds > *bound).count();
        for count in [counts.statuses.get(class), counts.durations.get(bucket)].into_iter().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.min(SLOW).as_nanos()).unwrap_or_default();
        let usual = self.usual.load(Ordering::Relaxed);
        // Another that is added meanwhile may be forgotten: it is an estimate.
        self.usual.store(usual - usual / USUAL_OF + nanoseconds / USUAL_OF, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        counts.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Whether requests of late took so little time that one may wait for the others.
    pub(crate) fn is_quick(&self) -> bool {
        Duration::from_nanos(self.usual.load(Ordering::Relaxed)) < QUICK
    }

    /// Writes them.
    pub(super) fn write(&self, to: &mut Exposition) {
        let open = read(&self.connections_open);
        to.single("dropstar_connections_open", Kind::Gauge, "Connections that are open.", open);
        let all = read(&self.connections);
        to.single("dropstar_connections_total", Kind::Counter, "Connections accepted.", all);
        let mut requests =
            to.family("dropstar_http_requests_total", Kind::Counter, "Requests by kind of route and status.");
        for ((_, word), counts) in RouteKind::ALL.iter().zip(&self.kinds) {
            for (status, count) in STATUSES.iter().zip(&counts.statuses) {
                let count = read(count);
                if count > 0.0 {
                    requests.sample(&[("route", word), ("status", status)], count);
                }
            }
        }
        let help = "Time from a request's head to its answer's head.";
        let mut durations = to.family("dropstar_http_request_duration_seconds", Kind::Histogram, help);
        for ((_, word), counts) in RouteKind::ALL.iter().zip(&self.kinds) {
            let mut below = 0.0;
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            for (bound, count) in bounds.zip(&counts.durations) {
                below += read(count);
                durations.part("_bucket", &[("route", word), ("le", bound)], below);
            }
            durations.part("_sum", &[("route", word)], read(&counts.microseconds) / 1e6);
            durations.part("_count", &[("route", word)], below);
        }
    }

    /// Requests and connections, for the status page.
    pub(super) fn totals(&self) -> (u64, u64) {
        let statuses = self.kinds.iter().flat_map(|counts| &counts.statuses);
        let requests = statuses.map(|count| count.load(Ordering::Relaxed)).sum();
        (requests, self.connections_open.load(Ordering::Relaxed))
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats, exact up to 2^53")]
fn read(count: &AtomicU64) -> f64 {
    count.load(Ordering::Relaxed) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_counts() {
        for (index, (kind, _)) in RouteKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }

    #[test]
    fn requests_are_quick_unless_several_of_late_were_slow() {
        let traffic = Traffic::default();
        let add = |took| traffic.add(RouteKind::Page, StatusCode::OK, took);
        assert!(traffic.is_quick());
        add(Duration::from_secs(60));
        assert!(!traffic.is_quick());
        (0..10).for_each(|_| add(Duration::from_micros(10)));
        assert!(traffic.is_quick());
        (0..3).for_each(|_| add(Duration::from_millis(5)));
        assert!(!traffic.is_quick());
    }

    #[test]
    fn requests_are_counted_by_kind_status_and_duration_and_connections_until_they_end() {
        let traffic = Arc::new(Traffic::default());
        let open = traffic.connected();
        drop(traffic.connected());
        traffic.add(RouteKind::Page, StatusCode::OK, Duration::from_millis(1));
        traffic.add(RouteKind::Page, StatusCode::NOT_FOUND, Duration::from_secs(60));
        let mut exposition = Exposition::default();
        traffic.write(&mut exposition);
        let text = exposition.into_text();
        for line in [
            "dropstar_connections_open 1",
            "dropstar_connections_total 2",
            "dropstar_http_requests_total{route=\"page\",status=\"2xx\"} 1",
            "dropstar_http_requests_total{route=\"page\",status=\"4xx\"} 1",
            "dropstar_http_request_duration_seconds_bucket{route=\"page\",le=\"0.0005\"} 0",
            "dropstar_http_request_duration_seconds_bucket{route=\"page\",le=\"0.001\"} 1",
            "dropstar_http_request_duration_seconds_bucket{route=\"page\",le=\"5\"} 1",
            "dropstar_http_request_duration_seconds_bucket{route=\"page\",le=\"+Inf\"} 2",
            "dropstar_http_request_duration_seconds_sum{route=\"page\"} 60.001",
            "dropstar_http_request_duration_seconds_count{route=\"page\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(traffic.totals(), (2, 1));
        drop(open);
        assert_eq!(traffic.totals(), (2, 0));
    }
}
