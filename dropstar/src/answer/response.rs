//! What a program may say about its answer beside its values: `__response: {status, headers, cookies, redirect}`.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::answer::AnswerBody;
use crate::site::Moment;
use crate::{Map, Value};

/// The key under which a program says it.
const KEY: &str = "__response";

/// Headers that belong to the server: they say where a message ends and what is done with the connection.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The type of JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// For what may differ at the next request.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The headers that most answers have, so that their map need not grow.
pub(crate) const HEADERS_USUAL: usize = 12;

/// What an answer needs to know about the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The path under which a proxy shows the server.
    pub(crate) prefix: &'a str,
    /// Whether the client is told to send cookies through TLS only.
    pub(crate) is_tls: bool,
    /// The request's method.
    pub(crate) method: &'a Method,
    /// When the request came.
    pub(crate) came: Moment,
}

/// What a program said about its answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) is_redirect: bool,
}

impl Wanted {
    /// Takes it out of a program's values.
    ///
    /// # Errors
    /// It says something that can't be: the text names it.
    pub(crate) fn take(values: &mut Map, circumstances: Circumstances<'_>) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        // Most programs say nothing of it and give few values: comparing those is quicker than hashing the key.
        if !values.keys().any(|name| name == KEY) {
            return Ok(wanted);
        }
        let Some(value) = values.shift_remove(KEY) else { return Ok(wanted) };
        let Value::Object(map) = value else {
            return Err(format!("{KEY} is not a mapping of status, headers, cookies, redirect"));
        };
        for (key, value) in &map {
            match key.as_str() {
                "status" => wanted.status = Some(status(value)?),
                "headers" => headers(value, &mut wanted.headers)?,
                "cookies" => cookies(value, circumstances, &mut wanted.headers)?,
                "redirect" => {
                    let location = redirect(value, circumstances.prefix)?;
                    wanted.headers.insert(LOCATION, location);
                    wanted.is_redirect = true;
                }
                other => return Err(format!("{KEY} has no {other}: expected status, headers, cookies or redirect")),
            }
        }
        if wanted.is_redirect && wanted.status.is_none() {
            // A form that was sent must not be sent again to the new address.
            let after_form = *circumstances.method == Method::POST;
            wanted.status = Some(if after_form { StatusCode::SEE_OTHER } else { StatusCode::FOUND });
        }
        Ok(wanted)
    }

    /// Puts it on an answer; its headers replace those that are there.
    pub(crate) fn apply(self, answer: &mut Response<AnswerBody>) {
        if let Some(status) = self.status {
            *answer.status_mut() = status;
        }
        for name in self.headers.keys() {
            answer.headers_mut().remove(name);
        }
        for (name, value) in &self.headers {
            answer.headers_mut().append(name.clone(), value.clone());
        }
        if self.status.is_some_and(|status| status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED) {
            *answer.body_mut() = AnswerBody::empty();
            answer.headers_mut().remove(CONTENT_TYPE);
        }
    }
}

/// Values as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Response<AnswerBody> {
    // JSON values have text keys only, so this can't fail; an empty body would be seen by any client.
    let body = serde_json::to_vec(value).unwrap_or_default();
    made(body, JSON)
}

/// An answer that was made for this request and is not the same for the next.
pub(crate) fn made(body: impl Into<AnswerBody>, content_type: HeaderValue) -> Response<AnswerBody> {
    let mut answer = Response::new(body.into());
    *answer.headers_mut() = HeaderMap::with_capacity(HEADERS_USUAL);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CACHE_CONTROL, NOT_KEPT);
    answer
}

fn status(value: &Value) -> Result<StatusCode, String> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| (200..=599).contains(number));
    number
        .and_then(|number| StatusCode::from_u16(number).ok())
        .ok_or_else(|| format!("the status {value} is not one from 200 to 599"))
}

fn headers(value: &Value, headers: &mut HeaderMap) -> Result<(), String> {
    let Value::Object(map) = value else { return Err("headers is not a mapping of names to values".into()) };
    for (name, value) in map {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("{name:?} is no name of a header"))?;
        if RESERVED.contains(&header.as_str()) {
            return Err(format!("the header {name} belongs to the server"));
        }
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = plain(value).ok_or_else(|| format!("the header {name} is not text"))?;
            let value =
                HeaderValue::try_from(text).map_err(|_| format!("the header {name} has a value that it can't have"))?;
            headers.append(header.clone(), value);
        }
    }
    Ok(())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

fn redirect(value: &Value, prefix: &str) -> Result<HeaderValue, String> {
    let text = value.as_str().ok_or("redirect is not text")?;
    let is_of_site = text.starts_with('/') && !text.starts_with("//");
    let location = if is_of_site { format!("{prefix}{text}") } else { text.to_string() };
    // What is not ASCII is written in percent, as browsers do; control characters are refused.
    let location: String = location
        .chars()
        .map(|character| if character.is_ascii() { character.to_string() } else { percent(character) })
        .collect();
    HeaderValue::try_from(location).map_err(|_| "redirect is no address".to_string())
}

fn percent(character: char) -> String {
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What a cookie's value can't hold as it is (RFC 6265 4.1.1), and the sign that tells it: it is written in percent, and
/// read so when it comes back.
const NOT_IN_COOKIES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// `name: text` or `name: {value, path, domain, max age, http only, same site, secure}`.
fn cookies(value: &Value, circumstances: Circumstances<'_>, headers: &mut HeaderMap) -> Result<(), String> {
    let Value::Object(map) = value else { return Err("cookies is not a mapping of names to values".into()) };
    for (name, value) in map {
        let line = cookie(name, value, circumstances)?;
        let value =
            HeaderValue::try_from(line).map_err(|_| format!("the cookie {name} has a value that it can't have"))?;
        headers.append(SET_COOKIE, value);
    }
    Ok(())
}

fn cookie(name: &str, value: &Value, circumstances: Circumstances<'_>) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is no name of a cookie"));
    }
    let empty = Map::new();
    let (text, options) = match value {
        Value::Object(options) => (options.get("value").and_then(plain), options),
        Value::Null => (Some(String::new()), &empty),
        value => (plain(value), &empty),
    };
    let text = text.ok_or_else(|| format!("the cookie {name} has no value that is text"))?;
    let mut line = format!("{name}={}", utf8_percent_encode(&text, NOT_IN_COOKIES));
    let mut attributes = Attributes::default();
    for (option, value) in options {
        attributes.read(name, option, value)?;
    }
    if value.is_null() {
        attributes.max_age = Some(0);
    }
    attributes.write(&mut line, circumstances);
    Ok(line)
}

#[derive(Default)]
struct Attributes {
    path: Option<String>,
    domain: Option<String>,
    max_age: Option<i64>,
    same_site: Option<&'static str>,
    is_open_to_scripts: bool,
    is_secure: Option<bool>,
}

impl Attributes {
    fn read(&mut self, cookie: &str, option: &str, value: &Value) -> Result<(), String> {
        let wrong = || format!("the cookie {cookie} has a wrong {option}: {value}");
        let plain_text = || {
            let text = value.as_str().ok_or_else(wrong)?;
            let is_clean = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
            if is_clean { Ok(text.to_string()) } else { Err(wrong()) }
        };
        match option.replace('_', " ").as_str() {
            "value" => {}
            "path" => self.path = Some(plain_text()?),
            "domain" => self.domain = Some(plain_text()?),
            "max age" => self.max_age = Some(value.as_i64().ok_or_else(wrong)?),
            "http only" => self.is_open_to_scripts = !value.as_bool().ok_or_else(wrong)?,
            "secure" => self.is_secure = Some(value.as_bool().ok_or_else(wrong)?),
            "same site" => {
                self.same_site = Some(match value.as_str().map(str::to_ascii_lowercase).as_deref() {
                    Some("lax") => "Lax",
                    Some("strict") => "Strict",
                    Some("none") => "None",
                    _ => return Err(wrong()),
                });
            }
            _ => {
                return Err(format!(
                    "cookies have no {option}: expected value, path, domain, max age, http only, same site or secure"
                ));
            }
        }
        Ok(())
    }

    fn write(&self, line: &mut String, circumstances: Circumstances<'_>) {
        let path = self.path.clone().unwrap_or_else(|| format!("{}/", circumstances.prefix));
        line.push_str("; Path=");
        line.push_str(&path);
        if let Some(domain) = &self.domain {
            line.push_str("; Domain=");
            line.push_str(domain);
        }
        if let Some(seconds) = self.max_age {
            line.push_str(&format!("; Max-Age={seconds}"));
        }
        if !self.is_open_to_scripts {
            line.push_str("; HttpOnly");
        }
        line.push_str("; SameSite=");
        line.push_str(self.same_site.unwrap_or("Lax"));
        // Browsers take SameSite=None only together with Secure.
        if self.is_secure.unwrap_or(circumstances.is_tls || self.same_site == Some("None")) {
            line.push_str("; Secure");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(wanted: Value) -> Result<Wanted, String> {
        let mut values = Map::new();
        values.insert(KEY.into(), wanted);
        let circumstances =
            Circumstances { prefix: "/tools", is_tls: false, method: &Method::POST, came: Moment::now() };
        Wanted::take(&mut values, circumstances)
    }

    #[test]
    fn status_headers_cookies_and_a_redirect_are_read() {
        let wanted = take(json!({
            "status": 201,
            "headers": {"X-One": "1", "link": ["a", "b"]},
            "cookies": {"a": "1", "b": {"value": "2", "max age": 60, "http only": false, "same site": "strict", "path": "/x"}, "gone": null},
        }))
        .unwrap();
        assert_eq!(wanted.status, Some(StatusCode::CREATED));
        assert_eq!(wanted.headers.get_all("link").iter().count(), 2);
        let cookies: Vec<_> = wanted.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(cookies[0], "a=1; Path=/tools/; HttpOnly; SameSite=Lax");
        assert_eq!(cookies[1], "b=2; Path=/x; Max-Age=60; SameSite=Strict");
        assert_eq!(cookies[2], "gone=; Path=/tools/; Max-Age=0; HttpOnly; SameSite=Lax");
        let wanted = take(json!({"redirect": "/ä"})).unwrap();
        assert_eq!(wanted.headers[LOCATION], "/tools/%C3%A4");
        assert_eq!(wanted.status, Some(StatusCode::SEE_OTHER));
    }

    #[test]
    fn a_cookie_holds_any_text_and_gives_it_back() {
        for text in ["", "a", "Ann Bee", "1; Path=/", "a\r\nSet-Cookie: x=1", "ä,\"\\", "100%", "%41", "\u{0}"] {
            let wanted = take(json!({"cookies": {"a": text}})).unwrap();
            let line = wanted.headers[SET_COOKIE].to_str().unwrap();
            let (pair, attributes) = line.split_once("; ").unwrap();
            assert_eq!(attributes, "Path=/tools/; HttpOnly; SameSite=Lax", "{text:?}");
            let mut sent = HeaderMap::new();
            sent.insert(http::header::COOKIE, pair.parse().unwrap());
            assert_eq!(Value::Object(crate::request::cookies::read(&sent)), json!({"a": text}));
        }
    }

    #[test]
    fn what_would_split_or_break_the_answer_is_refused() {
        for wanted in [
            json!(7),
            json!({"statsu": 200}),
            json!({"status": 99}),
            json!({"status": 101}),
            json!({"status": "ok"}),
            json!({"headers": {"a\r\nb": "1"}}),
            json!({"headers": {"a": "1\r\nSet-Cookie: x=1"}}),
            json!({"headers": {"Content-Length": 5}}),
            json!({"headers": {"Set-Cookie": "a=1"}}),
            json!({"cookies": {"a b": "1"}}),
            json!({"cookies": {"a": {"value": "1", "path": "/; HttpOnly"}}}),
            json!({"cookies": {"a": {"value": "1", "expires": 5}}}),
            json!({"redirect": "/a\r\nX: 1"}),
            json!({"redirect": 5}),
        ] {
            assert!(take(wanted.clone()).is_err(), "{wanted}");
        }
    }
}
