//! `http.*`: requests for scripts. Relative paths start from the caller's folder.

use crate::host::api::Api;
use crate::host::{Caller, HostError};
use crate::http::{HttpError, read_request};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[&str] = &["http.get", "http.post", "http.request"];

/// `http.get(url, {…})` or `http.get({url = …})`; gives `{status, url, headers, json or body, duration}`.
///
/// Any status is an answer, unless `expect` says which ones are.
pub(super) async fn call(api: &Api, caller: &Caller, name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    let bad = |text: String| HostError::new("bad_argument", text);
    let failed = |error: HttpError| HostError::new(error.code(), error.text);
    let mut options = options(name, arguments).map_err(bad)?;
    match name {
        "http.get" => set_method(&mut options, "GET").map_err(bad)?,
        "http.post" => set_method(&mut options, "POST").map_err(bad)?,
        "http.request" => {}
        _ => {
            let text = format!("there is no function {name}; there are: {}", FUNCTIONS.join(", "));
            return Err(HostError::new("unknown_function", text));
        }
    }
    let request = read_request(&options, &caller.folder).map_err(|error| bad(format!("{name}: {error}")))?;
    let answer = api.http.send(&request, &api.stop).await.map_err(failed)?;
    if let Some(expect) = &request.expect {
        expect.check(&answer).map_err(failed)?;
    }
    answer.to_map(request.read_as).map(Value::Object).map_err(failed)
}

fn options(name: &str, arguments: &[Value]) -> Result<Map, String> {
    let (mut options, url) = match arguments {
        [Value::String(url)] | [Value::String(url), Value::Null] => (Map::new(), Some(url)),
        [Value::String(url), Value::Object(options)] => (options.clone(), Some(url)),
        [Value::Object(options)] => (options.clone(), None),
        _ => return Err(format!("{name} takes a URL and options, or options with a url")),
    };
    if let Some(url) = url
        && options.insert("url".into(), url.clone().into()).is_some()
    {
        return Err(format!("{name}: url is given twice"));
    }
    Ok(options)
}

fn set_method(options: &mut Map, method: &str) -> Result<(), String> {
    match options.insert("method".into(), method.into()) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(format!("method is given to http.{}; use http.request", method.to_ascii_lowercase())),
    }
}
