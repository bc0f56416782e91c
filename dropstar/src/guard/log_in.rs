//! Logging in and out: what `/login` and `/logout` answer.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::Guard;
use super::refusal::{Refusal, RefusalKind, accepts_page};
use super::roll::KnownUser;
use super::visitor::{Visitor, Who};
use crate::answer;
use crate::request::RequestHead;
use crate::request::cookies;
use crate::users::{HashingError, USER_NAME_BYTES_MAX};

/// The longest body of a log-in, in bytes.
pub(crate) const LOG_IN_BYTES_MAX: usize = 8 * 1024;

/// Cookies of one name that are looked up: a host beside this one may have planted some.
const CANDIDATES_MAX: usize = 4;

/// The longest address to go to after the log-in, in bytes.
const TO_BYTES_MAX: usize = 2000;

/// What a log-in brings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Form {
    user: String,
    password: String,
    to: String,
}

impl Guard {
    /// What `GET /login` answers: the form, or who is logged in. As JSON `{user, scope, csrf_token}`, null for nobody,
    /// which is where scripts get the token that they bring along.
    pub(crate) fn log_in_page(&self, head: &RequestHead) -> Response<Bytes> {
        let who = self.identify(head, self.memory.clock.now()).unwrap_or(Who::Nobody);
        if wants_json(head) {
            return self.described(&who);
        }
        match (who.name(), who.csrf_token(&self.memory)) {
            (Some(name), Some(token)) => self.page.logged_in(name, &token),
            _ => self.page.form(StatusCode::OK, None, &to_of_query(head)),
        }
    }

    /// What `POST /login` answers to a body of at most [`LOG_IN_BYTES_MAX`]: a form or JSON with `user`, `password`,
    /// `to`. A log-in always gets a new session; the one before ends. Waits for its turn to hash, at most 10 s.
    pub(crate) async fn log_in(&self, head: &RequestHead, body: &[u8]) -> Response<Bytes> {
        let form = Form::read(head, body);
        let from = self.proxies.client(head);
        match self.try_log_in(&form, from).await {
            Ok(user) => self.begin_session(head, &form, from, &user),
            Err(refusal) => self.log_in_refused(head, &form, &refusal),
        }
    }

    async fn try_log_in(&self, form: &Form, from: IpAddr) -> Result<KnownPassword, Refusal> {
        let now = self.memory.clock.now();
        let names = self.roll.names(now).map_err(|_| Refusal::unusable())?;
        if self.roll.is_open() {
            let text = "the server has no users; add one with: procblock user add NAME";
            return Err(Refusal::new(RefusalKind::Forbidden, text));
        }
        let begun = self.memory.attempts.begin(from, &form.user, now);
        let attempt = begun.map_err(|wait| {
            let text = format!("too many log-ins failed; try again in {} seconds", wait.as_secs() + 1);
            Refusal::new(RefusalKind::TooManyFailures(wait), text)
        })?;
        let user = names.user(&form.user);
        let hash = user.and_then(|user| user.password_hash.as_deref());
        let is_right = self.memory.hashing.is_right(hash, form.password.clone()).await;
        let now = self.memory.clock.now();
        match (is_right, user) {
            (Ok(true), Some(user)) => {
                self.memory.attempts.forget(attempt, now);
                Ok(KnownPassword::of(user))
            }
            (Ok(_), user) => {
                self.memory.audit.log_in_failed(from, user.map(|user| &*user.name), now);
                Err(Refusal::new(RefusalKind::LogInWrong, "the name or the password is wrong"))
            }
            (Err(error @ HashingError::Busy), _) => {
                self.memory.attempts.forget(attempt, now);
                Err(Refusal::new(RefusalKind::Busy, error.to_string()))
            }
        }
    }

    fn begin_session(&self, head: &RequestHead, form: &Form, from: IpAddr, user: &KnownPassword) -> Response<Bytes> {
        let now = self.memory.clock.now();
        for id in session_ids(head, self.is_host_cookie()) {
            if let Some(session) = self.memory.sessions.find(id, now) {
                self.memory.sessions.end(&session.key);
            }
        }
        let (id, session) = match self.memory.sessions.begin(&user.name, user.password, now) {
            Ok(begun) => begun,
            Err(text) => return self.log_in_refused(head, form, &Refusal::new(RefusalKind::Busy, text)),
        };
        self.memory.audit.session(from, &user.name, "logged in");
        let who = Who::Session(session, user.scope);
        let mut response = if wants_json(head) {
            self.described(&who)
        } else {
            let to = if is_of_this_site(&form.to) { &form.to } else { "/" };
            redirect(&format!("{}{to}", self.prefix))
        };
        self.set_cookie(&mut response, head, &id, "");
        response
    }

    fn log_in_refused(&self, head: &RequestHead, form: &Form, refusal: &Refusal) -> Response<Bytes> {
        let answer = refusal.response(head, &self.prefix, wants_json(head));
        if !accepts_page(head) || wants_json(head) {
            return answer;
        }
        let mut page = self.page.form(refusal.status(), Some(&refusal.text), &form.to);
        for name in [RETRY_AFTER, WWW_AUTHENTICATE] {
            if let Some(value) = answer.headers().get(&name) {
                page.headers_mut().insert(name, value.clone());
            }
        }
        page
    }

    /// What `POST /logout` answers to a visitor that was admitted: the session is over.
    pub(crate) fn log_out(&self, head: &RequestHead, visitor: &Visitor) -> Response<Bytes> {
        if let Who::Session(session, _) = &visitor.who {
            self.memory.sessions.end(&session.key);
            self.memory.audit.session(self.proxies.client(head), &session.user, "logged out");
        }
        let mut response =
            if wants_json(head) { self.described(&Who::Nobody) } else { redirect(&format!("{}/login", self.prefix)) };
        self.set_cookie(&mut response, head, "", "; Max-Age=0");
        response
    }

    fn described(&self, who: &Who) -> Response<Bytes> {
        let described = serde_json::json!({
            "user": who.name().map(|name| name.to_string()),
            "scope": who.scope().map(crate::users::Scope::word),
            "csrf_token": who.csrf_token(&self.memory),
        });
        let mut response = Response::new(Bytes::from(described.to_string()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn set_cookie(&self, response: &mut Response<Bytes>, head: &RequestHead, id: &str, more: &str) {
        let path = if self.prefix.is_empty() { "/" } else { &self.prefix };
        // The browser says by its Origin whether it came through TLS, whatever a proxy makes of it.
        let is_https = head.header(ORIGIN).is_some_and(|origin| origin.starts_with("https://"));
        let secure = if head.is_tls || is_https || self.proxies.is_tls(head) { "; Secure" } else { "" };
        let name = cookie_name(head, self.is_host_cookie());
        let cookie = format!("{name}={id}; Path={path}; HttpOnly; SameSite=Lax{secure}{more}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

/// A user whose password was right.
struct KnownPassword {
    name: std::sync::Arc<str>,
    password: crate::users::Sha256,
    scope: crate::users::Scope,
}

impl KnownPassword {
    fn of(user: &KnownUser) -> Self {
        KnownPassword { name: user.name.clone(), password: user.password, scope: user.scope }
    }
}

impl Form {
    /// Reads a body; what it does not have is empty. A name that can't be one is nobody's.
    fn read(head: &RequestHead, body: &[u8]) -> Form {
        let mut form = Form::default();
        let mut set = |name: &str, value: String| match name {
            "user" => form.user = value,
            "password" => form.password = value,
            "to" => form.to = value,
            _ => {}
        };
        let body = body.get(..LOG_IN_BYTES_MAX).unwrap_or(body);
        let kind = head.header(CONTENT_TYPE).unwrap_or_default();
        if kind.starts_with("application/json") {
            let map: crate::Map = serde_json::from_slice(body).unwrap_or_default();
            for (name, value) in map {
                if let crate::Value::String(text) = value {
                    set(&name, text);
                }
            }
        } else {
            form_urlencoded::parse(body).for_each(|(name, value)| set(&name, value.into_owned()));
        }
        if form.user.len() > USER_NAME_BYTES_MAX {
            form.user.clear();
        }
        form
    }
}

/// The cookie's name. Browsers share cookies between the ports of a host, so it holds the port.
fn cookie_name(head: &RequestHead, is_host_cookie: bool) -> String {
    let bound = if is_host_cookie { "__Host-" } else { "" };
    format!("{bound}{}{}", cookies::SESSION_PREFIX, head.local.port())
}

/// The ids of sessions that a request brings.
pub(super) fn session_ids(head: &RequestHead, is_host_cookie: bool) -> impl Iterator<Item = &str> {
    let name = head.headers().contains_key(http::header::COOKIE).then(|| cookie_name(head, is_host_cookie));
    cookies::pairs(head.headers())
        .filter(move |(cookie, _)| name.as_deref() == Some(cookie))
        .map(|(_, id)| id)
        .take(CANDIDATES_MAX)
}

fn wants_json(head: &RequestHead) -> bool {
    answer::wants_json(head.headers(), head.query())
}

fn to_of_query(head: &RequestHead) -> String {
    let pairs = form_urlencoded::parse(head.query().as_bytes());
    let to = pairs.filter(|(name, _)| name == "to").map(|(_, to)| to.into_owned()).next();
    to.filter(|to| is_of_this_site(to)).unwrap_or_else(|| "/".into())
}

/// Whether an address to go to stays here: `//host` and `/\host` lead elsewhere.
fn is_of_this_site(to: &str) -> bool {
    let is_path = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
    is_path && to.len() <= TO_BYTES_MAX && to.bytes().all(|byte| byte.is_ascii_graphic())
}

fn redirect(to: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
