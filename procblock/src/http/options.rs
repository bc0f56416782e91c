//! A request from the words that users write: the `http` step's fields and the scripts' options are the same.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use url::form_urlencoded;

use crate::http::expect::FORMS;
use crate::http::request::FOLLOW_DEFAULT;
use crate::http::{Expect, READ_AS, ReadAs, Request, Target, Trust};
use crate::spec::{FromValue, Size, same_key};
use crate::value::{Map, Value, kind_name, to_text};

/// Every option; those of several words may be written with underscores. `timeout` is an attribute of the step.
pub const OPTIONS: &[&str] = &[
    "url",
    "method",
    "query",
    "headers",
    "body",
    "json",
    "form",
    "user",
    "password",
    "token",
    "follow redirects",
    "size max",
    "verify",
    "ca file",
    "expect",
    "as",
    "timeout",
];

/// The most redirects that can be asked for.
const FOLLOW_MAX: i64 = 50;

/// The largest body that can be asked for, in bytes.
const SIZE_MAX: u64 = 1 << 30;

/// An option that makes no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} {what}; {remedy}")]
pub struct OptionError {
    /// Which option.
    pub option: &'static str,
    /// What is wrong, behind its name. Never a secret.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

type Checked<T> = Result<T, OptionError>;

fn wrong<T>(option: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Checked<T> {
    Err(OptionError { option, what: what.into(), remedy: remedy.into() })
}

/// Reads a request; relative paths start from `folder`. Null is as good as absent.
///
/// # Errors
/// The first option that is unknown, wrong, or contradicts another.
pub fn read_request(options: &Map, folder: &Path) -> Checked<Request> {
    let options = Options::new(options)?;
    let Some(url) = options.get("url") else { return wrong("url", "is missing", "expected such as https://host/path") };
    let (mut target, login) = target(url)?;
    target.add_query(&options.read("query", |value| pairs("query", value))?.unwrap_or_default());
    let content = options.one_of(&["body", "json", "form"])?;
    let method = if content.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(options.read("method", method_of)?.unwrap_or(method), target);
    if let Some(given) = options.read("headers", headers)? {
        request.headers.extend(given);
    }
    options.prove(&mut request, login)?;
    match content {
        Some(("json", value)) => request.set_body("application/json", value.to_string()),
        Some(("form", value)) => {
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs("form", value)?).finish();
            request.set_body("application/x-www-form-urlencoded", form);
        }
        Some((_, value)) => request.set_body("text/plain; charset=utf-8", text("body", value)?),
        None => {}
    }
    request.follow_max = options.read("follow redirects", follow)?.unwrap_or(FOLLOW_DEFAULT);
    request.size_max = options.read("size max", size)?.unwrap_or(request.size_max);
    request.timeout = options.read("timeout", timeout)?.unwrap_or(request.timeout);
    request.read_as = options.read("as", read_as)?.unwrap_or_default();
    request.expect = options.read("expect", expect)?;
    request.trust = options.trust(folder)?;
    Ok(request)
}

/// Checks one option by itself, before anything runs.
///
/// # Errors
/// Its value makes no request.
pub fn check_option(name: &str, value: &Value) -> Checked<()> {
    match name {
        "url" => target(value).map(drop),
        "method" => method_of(value).map(drop),
        "query" => pairs("query", value).map(drop),
        "form" => pairs("form", value).map(drop),
        "headers" => headers(value).map(drop),
        "token" => HeaderValue::try_from(text("token", value)?).map(drop).or_else(|_| control("token")),
        "follow redirects" => follow(value).map(drop),
        "size max" => size(value).map(drop),
        "expect" => expect(value).map(drop),
        "as" => read_as(value).map(drop),
        _ => Ok(()),
    }
}

/// Options by their declared names, without those that are null.
struct Options<'o>(Vec<(&'static str, &'o Value)>);

impl<'o> Options<'o> {
    fn new(options: &'o Map) -> Checked<Self> {
        let mut found: Vec<(&'static str, &'o Value)> = Vec::new();
        for (key, value) in options {
            let Some(name) = OPTIONS.iter().find(|name| same_key(key, name)) else {
                return wrong("http", format!("has no option {key}"), format!("there are: {}", OPTIONS.join(", ")));
            };
            if found.iter().any(|(other, _)| other == name) {
                return wrong(name, "is given twice", "keep one of the two spellings");
            }
            found.push((*name, value));
        }
        found.retain(|(_, value)| !value.is_null());
        Ok(Options(found))
    }

    fn get(&self, name: &str) -> Option<&'o Value> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn read<T>(&self, name: &str, read: impl Fn(&Value) -> Checked<T>) -> Checked<Option<T>> {
        self.get(name).map(read).transpose()
    }

    /// The one of several that is given.
    fn one_of(&self, names: &[&'static str]) -> Checked<Option<(&'static str, &'o Value)>> {
        let mut given = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        match (given.next(), given.next()) {
            (Some((first, _)), Some((second, _))) => {
                wrong(second, format!("is given beside {first}"), "keep one of the two")
            }
            (first, _) => Ok(first),
        }
    }

    /// Who asks: by `user` and `password` or by `token`, else by what stood in the URL.
    fn prove(&self, request: &mut Request, login: Option<(String, String)>) -> Checked<()> {
        if let Some((name, _)) = self.one_of(&["user", "token"])?
            && request.headers.contains_key(AUTHORIZATION)
        {
            return wrong(name, "is given beside an authorization header", "keep one of the two");
        }
        let written = |name: &'static str| self.read(name, |value| text(name, value));
        match (written("user")?, written("password")?, written("token")?) {
            (Some(user), _, _) if user.contains(':') => wrong("user", "holds a :", "a user's name can't"),
            (Some(user), password, _) => {
                request.login(&user, &password.unwrap_or_default());
                Ok(())
            }
            (None, Some(_), _) => wrong("password", "is given without user", "add user"),
            (None, None, Some(token)) => request.bearer(&token).or_else(|_| control("token")),
            (None, None, None) => {
                if let Some((user, password)) = login
                    && !request.headers.contains_key(AUTHORIZATION)
                {
                    request.login(&user, &password);
                }
                remember(request);
                Ok(())
            }
        }
    }

    fn trust(&self, folder: &Path) -> Checked<Trust> {
        let file = self.read("ca file", |value| text("ca file", value))?;
        match (self.get("verify").map(Value::as_bool), file) {
            (Some(None), _) => wrong("verify", "is neither true nor false", "expected true or false"),
            (Some(Some(false)), Some(_)) => wrong("ca file", "is given beside verify: false", "keep one of the two"),
            (Some(Some(false)), None) => Ok(Trust::Anyone),
            (_, Some(file)) => Ok(Trust::File(folder.join(file))),
            (_, None) => Ok(Trust::System),
        }
    }
}

/// A secret in a header of the user's own is one, too.
fn remember(request: &mut Request) {
    let Some(header) = request.headers.get_mut(AUTHORIZATION) else { return };
    header.set_sensitive(true);
    let shown = String::from_utf8_lossy(header.as_bytes()).into_owned();
    let secret = shown.split_once(' ').map_or(shown.as_str(), |(_, secret)| secret).trim().to_string();
    if !request.secrets.contains(&secret) {
        request.secrets.push(secret);
    }
}

fn control<T>(option: &'static str) -> Checked<T> {
    wrong(option, "holds a line break or another control character", "remove it")
}

fn text(option: &'static str, value: &Value) -> Checked<String> {
    String::from_value(value).or_else(|_| wrong(option, format!("is a {}", kind_name(value)), "expected text"))
}

fn target(value: &Value) -> Checked<(Target, Option<(String, String)>)> {
    let text = text("url", value)?;
    Target::parse(&text).map_err(|(what, remedy)| OptionError { option: "url", what, remedy })
}

fn method_of(value: &Value) -> Checked<Method> {
    let word = text("method", value)?;
    match Method::from_bytes(word.to_ascii_uppercase().as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => wrong("method", format!("is {word:?}"), "expected such as GET, POST or DELETE"),
        Ok(method) => Ok(method),
    }
}

/// Names and values of a mapping; a list gives its name once for each item, null nothing.
fn pairs(option: &'static str, value: &Value) -> Checked<Vec<(String, String)>> {
    let Some(map) = value.as_object() else {
        return wrong(option, format!("is a {}", kind_name(value)), "expected a mapping of names to values");
    };
    let mut pairs = Vec::new();
    for (name, value) in map {
        let values = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            if matches!(value, Value::Array(_) | Value::Object(_)) {
                let what = format!("has a {} under {name}", kind_name(value));
                return wrong(option, what, "expected text, a number, true or false, or a list of these");
            }
            pairs.push((name.clone(), to_text(value)));
        }
    }
    Ok(pairs)
}

fn headers(value: &Value) -> Checked<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs("headers", value)? {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return wrong("headers", format!("has the name {name:?}"), "expected letters, digits and -");
        };
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&header) {
            return wrong("headers", format!("has {header}"), "remove it: it follows from the body");
        }
        // Texts beside ASCII go as UTF-8, as other tools send them.
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            let what = format!("has a line break or another control character in {header}");
            return wrong("headers", what, "remove it");
        };
        headers.append(header, value);
    }
    Ok(headers)
}

fn follow(value: &Value) -> Checked<u32> {
    match value {
        Value::Bool(follows) => Ok(if *follows { FOLLOW_DEFAULT } else { 0 }),
        other => match i64::from_value(other) {
            Ok(count) if (0..=FOLLOW_MAX).contains(&count) => Ok(u32::try_from(count).unwrap_or(0)),
            _ => wrong("follow redirects", format!("is {other}"), format!("expected 0 to {FOLLOW_MAX}, or false")),
        },
    }
}

fn size(value: &Value) -> Checked<u64> {
    match Size::from_value(value) {
        Ok(Size(bytes)) if (1..=SIZE_MAX).contains(&bytes) => Ok(bytes),
        Ok(_) => wrong("size max", format!("is {value}"), "expected 1 byte to 1GiB"),
        Err(expected) => wrong("size max", format!("is {value}"), format!("expected {expected}")),
    }
}

fn timeout(value: &Value) -> Checked<Duration> {
    Duration::from_value(value)
        .or_else(|expected| wrong("timeout", format!("is {value}"), format!("expected {expected}")))
}

fn read_as(value: &Value) -> Checked<ReadAs> {
    match value.as_str() {
        Some("auto") => Ok(ReadAs::Auto),
        Some("json") => Ok(ReadAs::Json),
        Some("text") => Ok(ReadAs::Text),
        _ => wrong("as", format!("is {value}"), format!("expected one of: {}", READ_AS.join(", "))),
    }
}

fn expect(value: &Value) -> Checked<Expect> {
    Expect::read(value).map_or_else(|| wrong("expect", format!("is {value}"), format!("expected {FORMS}")), Ok)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: &Value) -> Checked<Request> {
        read_request(options.as_object().unwrap(), Path::new("/folder"))
    }

    fn header(request: &Request, name: &str) -> String {
        request.headers.get(name).map(|value| value.to_str().unwrap().to_string()).unwrap_or_default()
    }

    #[test]
    fn a_body_makes_a_post_with_its_type_unless_told() {
        for (options, method, kind, body) in [
            (json!({}), "GET", "", ""),
            (json!({"json": {"a": 1}}), "POST", "application/json", r#"{"a":1}"#),
            (
                json!({"form": {"a": "1 &2", "b": [1, true], "c": null}}),
                "POST",
                "application/x-www-form-urlencoded",
                "a=1+%262&b=1&b=true",
            ),
            (json!({"body": "x", "method": "put"}), "PUT", "text/plain; charset=utf-8", "x"),
            (json!({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}), "POST", "text/xml", "<a/>"),
        ] {
            let mut options = options;
            options["url"] = json!("http://x/");
            let request = read(&options).unwrap();
            assert_eq!(request.method.as_str(), method);
            assert_eq!(header(&request, "content-type"), kind);
            assert_eq!(request.body, body.as_bytes());
        }
    }

    #[test]
    fn who_asks_is_said_once_and_remembered_as_secret() {
        for (options, authorization, secret) in [
            (json!({"url": "http://x/", "user": "al", "password": "pw"}), "Basic YWw6cHc=", "pw"),
            (json!({"url": "http://al:pw@x/"}), "Basic YWw6cHc=", "YWw6cHc="),
            (json!({"url": "http://x/", "token": "t0k"}), "Bearer t0k", "t0k"),
            (json!({"url": "http://al:pw@x/", "token": "t0k"}), "Bearer t0k", "t0k"),
            (json!({"url": "http://x/", "headers": {"authorization": "Token abc"}}), "Token abc", "abc"),
        ] {
            let request = read(&options).unwrap();
            assert_eq!(header(&request, "authorization"), authorization);
            assert!(request.secrets.iter().any(|found| found == secret), "{options}");
            assert_eq!(request.target.full(), "http://x/");
        }
    }

    #[test]
    fn queries_are_added_and_underscores_are_spaces() {
        let options = json!({"url": "http://x/a?b=1", "query": {"c": "d e&"}, "follow_redirects": false, "size_max": "1KiB", "ca_file": "a.pem"});
        let request = read(&options).unwrap();
        assert_eq!(request.target.full(), "http://x/a?b=1&c=d+e%26");
        assert_eq!((request.follow_max, request.size_max), (0, 1024));
        assert_eq!(request.trust, Trust::File("/folder/a.pem".into()));
    }

    #[test]
    fn what_makes_no_request_is_told_with_its_option() {
        for (options, text) in [
            (json!({}), "url is missing"),
            (json!({"url": "x/y"}), "url has no scheme"),
            (json!({"url": "http://x/", "methd": "GET"}), "http has no option methd"),
            (json!({"url": "http://x/", "method": "a b"}), "method is \"a b\""),
            (json!({"url": "http://x/", "method": "connect"}), "method is \"connect\""),
            (json!({"url": "http://x/", "body": "x", "json": 1}), "json is given beside body"),
            (json!({"url": "http://x/", "headers": {"a b": "c"}}), "the name \"a b\""),
            (json!({"url": "http://x/", "headers": {"a": "c\r\nd: e"}}), "control character in a"),
            (json!({"url": "http://x/", "headers": {"Content-Length": 3}}), "has content-length"),
            (json!({"url": "http://x/", "query": {"a": {"b": 1}}}), "query has a mapping under a"),
            (json!({"url": "http://x/", "user": "a", "token": "b"}), "token is given beside user"),
            (json!({"url": "http://x/", "user": "a:b"}), "user holds a :"),
            (json!({"url": "http://x/", "password": "b"}), "password is given without user"),
            (json!({"url": "http://x/", "token": "se\ncret"}), "token holds a line break"),
            (json!({"url": "http://x/", "follow redirects": 51}), "follow redirects is 51"),
            (json!({"url": "http://x/", "size max": "2GiB"}), "expected 1 byte to 1GiB"),
            (json!({"url": "http://x/", "size max": 1, "size_max": 2}), "size max is given twice"),
            (json!({"url": "http://x/", "verify": false, "ca file": "x"}), "ca file is given beside verify: false"),
            (json!({"url": "http://x/", "expect": "ok"}), "expect is \"ok\""),
            (json!({"url": "http://x/", "as": "xml"}), "expected one of: auto, json, text"),
            (json!({"url": "http://x/", "timeout": "soon"}), "timeout is \"soon\""),
        ] {
            let Err(error) = read(&options) else { panic!("{options} is taken") };
            let error = error.to_string();
            assert!(error.contains(text), "{options}: {error}");
            assert!(!error.contains("cret"), "{error}");
        }
    }
}
