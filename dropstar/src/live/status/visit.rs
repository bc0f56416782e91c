//! What the pages are made from: who asks for what, the instance around the server, its store.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use unidist::{Error, Unidist};

use super::place::Place;
use super::view::View;
use crate::answer::Problem;
use crate::server::handle::Allowed;
use crate::{Failure, FailureKind, Map, Value};

/// A request for one of the pages.
pub(super) struct Visit<'a> {
    pub(super) allowed: &'a Allowed<'a>,
    pub(super) place: Place,
    pub(super) view: View,
}

impl<'a> Visit<'a> {
    /// What the request is for.
    ///
    /// # Errors
    /// There is no such page.
    pub(super) fn of(allowed: &'a Allowed<'a>) -> Result<Visit<'a>, Problem> {
        let (path, query) = (&allowed.head.path, allowed.head.query());
        let place = Place::read(path, &allowed.serving.config.status, query).ok_or_else(Problem::missing)?;
        Ok(Visit { allowed, place, view: View::read(query) })
    }

    /// Asks the instance. None where it knows no such call.
    ///
    /// # Errors
    /// The instance refuses.
    pub(super) async fn ask(&self, call: &str, arguments: Map) -> Result<Option<Value>, Failure> {
        match self.allowed.serving.surroundings.instance.call(call, arguments).await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.kind == FailureKind::Missing => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Asks the instance about one thing.
    ///
    /// # Errors
    /// There is no such thing, or the instance ends.
    pub(super) async fn ask_about(&self, call: &str, name: &str, value: &str) -> Result<Value, Problem> {
        let arguments = Map::from_iter([(name.to_string(), value.into())]);
        self.allowed.serving.surroundings.instance.call(call, arguments).await.map_err(|failure| {
            let status = match failure.kind {
                FailureKind::Failed | FailureKind::Missing => StatusCode::NOT_FOUND,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            Problem::new(status, failure.text)
        })
    }

    /// Reads or changes the store, off the workers.
    ///
    /// # Errors
    /// The visitor asks for what can't be, or the store can't be read.
    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Unidist) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let unidist = self.allowed.serving.surroundings.instance.unidist().clone();
        let done = tokio::task::spawn_blocking(move || act(&unidist)).await;
        done.map_err(|error| Problem::internal("the store could not be read", error.to_string()))?.map_err(refused)
    }
}

/// What a store says no to.
pub(super) fn refused(error: Error) -> Problem {
    let status = match &error {
        Error::Pattern { .. } | Error::Name { .. } | Error::Value { .. } | Error::Setting { .. } => {
            StatusCode::BAD_REQUEST
        }
        Error::NoSuchThing { .. } | Error::NoSuchKey { .. } | Error::NoSuchLock { .. } => StatusCode::NOT_FOUND,
        Error::QueueFull { .. } | Error::NotHolder { .. } | Error::StaleFence { .. } => StatusCode::CONFLICT,
        _ => return Problem::internal("the store could not be read", error.to_string()),
    };
    Problem::new(status, error.to_string())
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
