//! An answer that says why there is no other one: what the client may see, and an id under which the log has the rest.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::answer::{AnswerBody, source};
use crate::site::Broken;
use crate::{Failure, FailureKind, Purpose, Value};

/// Why a request is not answered as it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The status.
    pub(crate) status: StatusCode,
    /// What the client is told.
    pub(crate) text: Cow<'static, str>,
    /// What the log has more under.
    pub(crate) id: Option<String>,
    /// What an administrator may see of it on the page.
    pub(crate) detail: Option<String>,
    /// The methods that would do.
    pub(crate) allow: Option<&'static str>,
    /// Whether the connection is closed after the answer.
    pub(crate) closes: bool,
}

/// What the answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// JSON instead of HTML.
    pub(crate) is_json: bool,
    /// Whether the detail is shown.
    pub(crate) shows_detail: bool,
}

impl Problem {
    /// A problem of the client's making.
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, text: text.into(), id: None, detail: None, allow: None, closes: false }
    }

    /// The method is not one of these.
    pub(crate) fn method(allow: &'static str) -> Problem {
        let text = format!("this address answers to {allow}");
        Problem { allow: Some(allow), ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// There is no such thing.
    pub(crate) fn missing() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address")
    }

    /// The same, closing the connection after the answer.
    pub(crate) fn closing(self) -> Problem {
        Problem { closes: true, ..self }
    }

    /// Something of the site went wrong. The log gets the detail under a new id.
    pub(crate) fn internal(what: &str, detail: String) -> Problem {
        let id = new_id();
        log::error!(target: "serve", "{id}: {what}: {detail}");
        Problem {
            id: Some(id),
            detail: Some(detail),
            ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on the server")
        }
    }

    /// A program gave no answer.
    pub(crate) fn failure(what: &str, failure: &Failure) -> Problem {
        match failure.kind {
            FailureKind::Failed => Problem::internal(what, with_place(failure)),
            FailureKind::TimedOut => Problem {
                status: StatusCode::GATEWAY_TIMEOUT,
                text: "it took too long".into(),
                ..Problem::internal(what, with_place(failure))
            },
            FailureKind::Busy => Problem::busy(),
            FailureKind::Missing => Problem::new(StatusCode::NOT_FOUND, failure.text.clone()),
            FailureKind::Stopped => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server ends").closing(),
        }
    }

    /// Too much is going on.
    pub(crate) fn busy() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once, try again")
    }

    /// A file that does not load. It was logged when that was found.
    pub(crate) fn broken(broken: &Broken) -> Problem {
        Problem {
            id: Some(broken.id.clone()),
            detail: Some(broken.text.clone()),
            ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on the server")
        }
    }

    /// The answer.
    pub(crate) fn answer(&self, form: Form) -> Response<AnswerBody> {
        let (kind, body) = if form.is_json {
            ("application/json", self.json(form).to_string())
        } else {
            ("text/html; charset=utf-8", self.html(form))
        };
        let mut answer = Response::new(AnswerBody::from(body));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// The mapping under `error` in a flat answer.
    pub(crate) fn json(&self, form: Form) -> Value {
        let mut error = serde_json::json!({"status": self.status.as_u16(), "text": self.text});
        if let (Some(id), Some(map)) = (&self.id, error.as_object_mut()) {
            map.insert("id".into(), id.clone().into());
            if let Some(detail) = self.detail.as_ref().filter(|_| form.shows_detail) {
                map.insert("detail".into(), detail.clone().into());
            }
        }
        serde_json::json!({ "error": error })
    }

    fn html(&self, form: Form) -> String {
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{reason}</title>\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body><h1>{} {reason}</h1>\n<p>{}</p>\n",
            self.status.as_u16(),
            escape(&self.text),
        );
        if let Some(id) = &self.id {
            // Writing into a String can't fail.
            let _ = writeln!(page, "<p>The log has more under <code>{id}</code>.</p>");
        }
        if let Some(detail) = self.detail.as_ref().filter(|_| form.shows_detail) {
            let _ = writeln!(page, "<pre>{}</pre>", escape(detail));
            if let Some(source) = source::excerpt(detail) {
                let _ = writeln!(page, "<pre>{}</pre>", escape(&source));
            }
        }
        page.push_str("</body></html>\n");
        page
    }
}

/// A file that does not load: logged under a new id.
pub(crate) fn log_broken(purpose: Purpose, file: &Path, text: String) -> Broken {
    let id = new_id();
    log::error!(target: "serve", "{id}: {}: {text}", file.display());
    Broken { purpose, id, text }
}

fn with_place(failure: &Failure) -> String {
    match &failure.place {
        Some(place) => format!("{place}: {}", failure.text),
        None => failure.text.clone(),
    }
}

/// Tells one failure from the others in the log; no secret.
fn new_id() -> String {
    format!("{:012x}", fastrand::u64(..1 << 48))
}

/// Text for HTML, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
