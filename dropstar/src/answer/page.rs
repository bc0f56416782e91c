//! A page: a program's values, as HTML by its template, as JSON, or as what it put out itself.

use std::sync::Arc;

use http::header::{ACCEPT, VARY};
use http::{HeaderMap, HeaderValue, Response};

use crate::answer::response::{Circumstances, JSON, Wanted, made};
use crate::answer::template::{Names, OwnNames};
use crate::answer::{AnswerBody, json};
use crate::request::Origin;
use crate::site::Entry;
use crate::{Declaration, Map, RequestState, Value};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const BY_ACCEPT: HeaderValue = HeaderValue::from_static("accept");

/// What a page is filled from, beside its values.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    /// What the page says of itself.
    pub(crate) declaration: Arc<Declaration>,
    /// Where the page is from.
    pub(crate) origin: Arc<Origin>,
    /// The request's arguments.
    pub(crate) arguments: Arc<Map>,
    /// The request's state.
    pub(crate) state: RequestState,
    /// The path under which a proxy shows the server.
    pub(crate) prefix: Arc<str>,
    /// What a form sends along so that it is known to come from a page of ours.
    pub(crate) form_token: Option<Arc<str>>,
}

impl OwnNames for Filling {
    fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "input_data" => Value::Object(Map::clone(&self.arguments)),
            "request_state" => Value::Object(self.state.to_map()),
            "prefix" => Value::String(self.prefix.to_string()),
            "title" => Value::String(self.declaration.title.clone().unwrap_or_else(|| self.origin.name.clone())),
            "user" => self.state.get("user").unwrap_or(Value::Null),
            "csrf_token" => Value::String(self.form_token.as_deref().unwrap_or_default().to_string()),
            _ => return None,
        })
    }
}

/// The answer of a page whose program gave these values, to a client that wants JSON or not. What fills a template is
/// only asked for where there is one to fill.
///
/// # Errors
/// What the page said about its answer can't be, or its template can't be filled. The text is for the log.
pub(crate) async fn page(
    entry: &Entry,
    mut values: Map,
    (wants_json, filling): (bool, impl FnOnce() -> Filling),
    circumstances: Circumstances<'_>,
) -> Result<Response<AnswerBody>, String> {
    let wanted = Wanted::take(&mut values, circumstances)?;
    let mut answer = if wanted.is_redirect {
        Response::new(AnswerBody::empty())
    } else if let Some(answer) = own_output(&mut values, wants_json || entry.template.is_some())? {
        answer
    } else if wants_json {
        json(&values)
    } else if let Some(template) = &entry.template {
        // Boxed: pages without a template would carry the room that filling one takes.
        let names = Names::new(values, Box::new(filling()));
        made(Box::pin(template.fill(names, circumstances.came)).await?, HTML)
    } else {
        json(&values)
    };
    answer.headers_mut().insert(VARY, BY_ACCEPT);
    wanted.apply(&mut answer);
    Ok(answer)
}

/// The answer of a procedure that gave these values.
///
/// # Errors
/// What it said about its answer can't be. The text is for the log.
pub(crate) fn flat(mut values: Map, circumstances: Circumstances<'_>) -> Result<Response<AnswerBody>, String> {
    let wanted = Wanted::take(&mut values, circumstances)?;
    let mut answer = json(&values);
    wanted.apply(&mut answer);
    Ok(answer)
}

/// What the page put out itself: `output`, with `content-type`. Without the type it is only a value where there is
/// `another` way to show it, a template or JSON; else it is HTML when it begins like it, and plain text.
fn own_output(values: &mut Map, another: bool) -> Result<Option<Response<AnswerBody>>, String> {
    let (mut kind, mut output) = (None, None);
    for (name, value) in values.iter_mut() {
        match (name.as_str(), value) {
            ("output", value) => output = Some(value),
            ("content-type", Value::String(value)) => kind = Some(content_type(value)?),
            ("content-type", other) => return Err(format!("content-type {other} is not text")),
            _ => {}
        }
    }
    let Some(output) = output.filter(|_| kind.is_some() || !another) else { return Ok(None) };
    let body = match output.take() {
        Value::String(text) => text,
        value => value.to_string(),
    };
    let kind = kind.unwrap_or_else(|| if body.trim_start().starts_with('<') { HTML } else { TEXT });
    Ok(Some(made(body, kind)))
}

/// The header that a page names; the usual ones need no copy.
fn content_type(kind: &str) -> Result<HeaderValue, String> {
    match kind {
        "text/plain; charset=utf-8" => Ok(TEXT),
        "text/html; charset=utf-8" => Ok(HTML),
        "application/json" => Ok(JSON),
        _ => HeaderValue::from_str(kind).map_err(|_| format!("content-type {kind:?} is no content type")),
    }
}

/// Whether a client takes JSON rather than HTML: by `Accept`, where HTML wins a draw, or by `format=json`.
pub(crate) fn wants_json(headers: &HeaderMap, query: &str) -> bool {
    if query.split('&').any(|pair| pair == "format=json") {
        return true;
    }
    let (mut json, mut html) = (0.0_f32, 0.0_f32);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight =
                parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            match kind {
                "application/json" => json = json.max(weight),
                "text/html" | "application/xhtml+xml" => html = html.max(weight),
                _ => {}
            }
        }
    }
    json > html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_prefer_it() {
        for (accept, query, expected) in [
            ("application/json", "", true),
            ("application/json, text/plain, */*", "", true),
            ("text/html,application/json;q=0.9", "", false),
            ("text/html;q=0.1, application/json;q=0.2", "", true),
            ("*/*", "", false),
            ("text/html", "a=1&format=json", true),
            ("text/html", "xformat=json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_json(&headers, query), expected, "{accept} {query}");
        }
    }
}
