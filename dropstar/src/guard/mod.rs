//! The one check in front of every route: what a request may do is decided here, before a byte of its body is read.

use std::sync::Arc;

use http::StatusCode;

use crate::answer::Problem;
use crate::request::RequestHead;
use crate::site::Route;
use crate::{Need, ServeConfig};

/// Decides what requests may do.
pub(crate) struct Guard;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The user's name.
    pub(crate) user: Option<Arc<str>>,
    /// The most that the visitor may.
    pub(crate) may: Need,
    /// What a form of a page for this visitor sends along.
    pub(crate) form_token: Option<Arc<str>>,
}

impl Guard {
    /// The guard of a listener.
    pub(crate) fn new(_config: &ServeConfig) -> Guard {
        Guard
    }

    /// Who asks, if that may be. Pure and fast: reads no file, waits for nothing.
    ///
    /// # Errors
    /// It may not be; the problem is the answer.
    pub(crate) fn check(&self, _head: &RequestHead, route: &Route) -> Result<Visitor, Problem> {
        if let Route::UnknownHost = route {
            let text = "this server has no such site: reach it by its address, or name the host in the site file";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, text));
        }
        Ok(Visitor { user: None, may: Need::Admin, form_token: None })
    }
}
