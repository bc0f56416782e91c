//! The check itself, in the order in which things are looked at: what the request says of itself, where it goes, who
//! asks, who sent it, what the route wants.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use super::audit::Call;
use super::log_in::session_ids;
use super::origin::{Sender, sender};
use super::refusal::{Refusal, RefusalKind};
use super::roll::Names;
use super::visitor::{Admission, CSRF_HEADER, Pending, Visitor, Who, csrf_refusal, suffices};
use super::{Access, Asked, Guard, forwarded};
use crate::Need;
use crate::request::RequestHead;
use crate::users::{Scope, TOKEN_PREFIX, is_token};

/// What a request must still bring.
enum Missing {
    Nothing,
    FormToken,
}

impl Guard {
    /// Decides about a request before a byte of its body is read. Waits for nothing; four times a second it looks
    /// whether the users file has changed, and reads it then.
    ///
    /// # Errors
    /// The request is refused. A refused change is in the audit log.
    pub(crate) fn check(&self, asked: &Asked<'_>) -> Result<Admission, Refusal> {
        let now = self.memory.clock.now();
        self.decide(asked, now).inspect_err(|refusal| {
            if asked.is_changing {
                let from = self.proxies.client(asked.head);
                self.memory.audit.refused(from, asked.head, &refusal.text, now);
            }
        })
    }

    /// Takes away from a request's headers what only a trusted proxy may say.
    pub(crate) fn clean(&self, headers: &mut HeaderMap, peer: SocketAddr) {
        self.proxies.clean(headers, peer.ip());
    }

    fn decide(&self, asked: &Asked<'_>, now: Duration) -> Result<Admission, Refusal> {
        let head = asked.head;
        check_head(head)?;
        if !self.hosts.holds(head) {
            let host = head.host.escape_default();
            let text =
                format!("the host \"{host}\" is none of this server's; name it as an alias, or set: any host: true");
            return Err(Refusal::new(RefusalKind::ForeignHost, text));
        }
        let who = match self.identify(head, now) {
            Err(_) if asked.access == Access::Open => Who::Nobody,
            identified => identified?,
        };
        let missing = if asked.is_changing { self.check_sender(asked, &who)? } else { Missing::Nothing };
        self.check_need(asked.access, &who)?;
        if asked.access == Access::Administering && !self.may_administer(head, &who) {
            let text = "while the server has no users, only who comes from its own machine and by no proxy may change \
                        this; add one with: procblock user add NAME --scope admin";
            return Err(Refusal::new(RefusalKind::Forbidden, text));
        }
        let visitor = self.visitor(asked, who);
        Ok(match missing {
            Missing::Nothing => Admission::Admitted(visitor),
            Missing::FormToken => Admission::WithForm(Pending { visitor }),
        })
    }

    fn visitor(&self, asked: &Asked<'_>, who: Who) -> Visitor {
        let head = asked.head;
        let is_here = self.dev && comes_from_here(head);
        let from = self.proxies.client(head);
        let call = match asked.is_changing {
            true if asked.access == Access::Administering => {
                Some(Call::of_administrator(who.name().cloned(), from, head))
            }
            true => Call::new(who.name().cloned(), from, head),
            false => None,
        };
        let has_proof = matches!(who, Who::Session(..) | Who::Vouched(..));
        Visitor {
            sees_errors: is_here || suffices(who.scope(), Need::Admin),
            call,
            memory: has_proof.then(|| self.memory.clone()),
            who,
        }
    }

    /// Who asks: a token before a proxy's word before a cookie.
    pub(super) fn identify(&self, head: &RequestHead, now: Duration) -> Result<Who, Refusal> {
        let names = self.roll.names(now).map_err(|_| Refusal::unusable())?;
        // Where there are no users, a token is for somebody else.
        if let Some(token) = bearer(head)?.filter(|_| !self.roll.is_open()) {
            return self.identify_bearer(token, &names);
        }
        if let Some(name) = self.proxies.user(head) {
            // Whom the file does not name may do what needs no administrator: the proxy let them in.
            let user = names.user(name);
            let known = user.map(|user| (user.name.clone(), user.scope));
            let (name, scope) = known.unwrap_or_else(|| (name.into(), Scope::Call));
            return Ok(Who::Vouched(name, scope));
        }
        Ok(self.identify_session(head, &names, now).unwrap_or(Who::Nobody))
    }

    fn identify_bearer(&self, token: &str, names: &Names) -> Result<Who, Refusal> {
        let today = self.memory.clock.unix_time().as_secs();
        let known = names.token(token).ok_or("the token is not known; make one with: procblock token add NAME");
        let valid = known.and_then(|known| {
            let is_over = known.expires.is_some_and(|expires| today >= expires);
            if is_over {
                Err("the token has expired; make a new one with: procblock token add NAME")
            } else {
                Ok(known)
            }
        });
        let token = valid.map_err(|text| Refusal::new(RefusalKind::TokenUnknown, text))?;
        Ok(Who::Bearer(token.name.clone(), token.scope))
    }

    fn identify_session(&self, head: &RequestHead, names: &Names, now: Duration) -> Option<Who> {
        session_ids(head, self.is_host_cookie()).find_map(|id| {
            let session = self.memory.sessions.find(id, now)?;
            let Some(user) = names.user(&session.user).filter(|user| user.password == session.password) else {
                self.memory.sessions.end(&session.key);
                return None;
            };
            Some(Who::Session(session, user.scope))
        })
    }

    /// Whether a request that changes something was sent by a page of ours, or by no browser. What a browser adds by
    /// itself, a cookie or what a proxy knows, proves nothing without the token that only our own pages can read.
    fn check_sender(&self, asked: &Asked<'_>, who: &Who) -> Result<Missing, Refusal> {
        let head = asked.head;
        let sender = sender(head, self.proxies.host(head));
        if let Sender::Foreign(from) = &sender {
            let text = format!(
                "a page of another site ({}) sent this; behind a proxy, pass the Host header on, or name the proxy as trusted",
                from.escape_default()
            );
            return Err(Refusal::new(RefusalKind::ForeignSender, text));
        }
        let is_browser = sender == Sender::Own || head.headers().contains_key(header::COOKIE);
        let wants_token = match who {
            Who::Session(..) => asked.access != Access::Open,
            Who::Vouched(..) => asked.access != Access::Open && is_browser,
            Who::Nobody | Who::Bearer(..) => false,
        };
        if wants_token {
            return self.check_token(head, who);
        }
        if sender == Sender::Unsaid && is_browser && !matches!(who, Who::Bearer(..)) {
            let text = "a request with cookies must say which page sent it, in the header Origin or Sec-Fetch-Site";
            return Err(Refusal::new(RefusalKind::ForeignSender, text));
        }
        Ok(Missing::Nothing)
    }

    fn check_token(&self, head: &RequestHead, who: &Who) -> Result<Missing, Refusal> {
        match head.headers().get(CSRF_HEADER).map(HeaderValue::to_str) {
            Some(Ok(token)) if who.holds(&self.memory, token) => Ok(Missing::Nothing),
            Some(_) => Err(csrf_refusal()),
            None if is_form(head) => Ok(Missing::FormToken),
            None => Err(csrf_refusal()),
        }
    }

    /// Whether a visitor may do what something wants that it asks for by name, within its request.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn allow(&self, visitor: &Visitor, access: Access) -> Result<(), Refusal> {
        self.check_need(access, &visitor.who)
    }

    fn check_need(&self, access: Access, who: &Who) -> Result<(), Refusal> {
        let need = match access {
            Access::Open => return Ok(()),
            Access::Declared(need) => need,
            _ if self.roll.is_open() => return Ok(()),
            Access::Inside | Access::Administering => Need::Admin,
            Access::Reading => Need::Login,
            Access::Changing => Need::Call,
        };
        if suffices(who.scope(), need) {
            return Ok(());
        }
        let word = match need {
            Need::Call => "call",
            Need::Admin => "admin",
            Need::Login | Need::Nobody => "read",
        };
        Err(match who.scope() {
            Some(scope) => {
                let text = format!("this wants the scope {word}; yours is {}", scope.word());
                Refusal::new(RefusalKind::Forbidden, text)
            }
            None if self.roll.is_open() => Refusal::new(
                RefusalKind::Forbidden,
                "this is only for users who logged in, and the server has none; add one with: procblock user add NAME",
            ),
            None => Refusal::new(
                RefusalKind::LogInWanted,
                "this wants a log-in, or a token in the header Authorization: Bearer TOKEN",
            ),
        })
    }

    /// Whether a visitor may change what the status pages show, which `Access::Administering` guards.
    pub(crate) fn lets_administer(&self, head: &RequestHead, visitor: &Visitor) -> bool {
        self.may_administer(head, &visitor.who)
    }

    fn may_administer(&self, head: &RequestHead, who: &Who) -> bool {
        if self.roll.is_open() { comes_from_here(head) } else { suffices(who.scope(), Need::Admin) }
    }

    /// Whether the session's cookie can be bound to this very host: then no other host can plant one.
    pub(super) fn is_host_cookie(&self) -> bool {
        self.is_tls && self.prefix.is_empty()
    }
}

/// Whether the client is on this machine. What a proxy passes on is from elsewhere.
fn comes_from_here(head: &RequestHead) -> bool {
    head.peer.ip().to_canonical().is_loopback() && !forwarded::is_forwarded(head)
}

/// What no honest request does.
fn check_head(head: &RequestHead) -> Result<(), Refusal> {
    let headers = head.headers();
    if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
        let text = "the request says its length twice, in Content-Length and Transfer-Encoding";
        return Err(Refusal::new(RefusalKind::Head, text));
    }
    let hosts = headers.get_all(header::HOST).iter();
    let authority = head.parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut named = hosts.map(HeaderValue::as_bytes).chain(authority);
    let first = named.next();
    if named.any(|other| first.is_none_or(|first| !first.eq_ignore_ascii_case(other))) {
        return Err(Refusal::new(RefusalKind::Head, "the request names two hosts"));
    }
    let target = head.parts.uri.path_and_query().map_or("", |target| target.as_str());
    let mut places = target.as_bytes().windows(TOKEN_PREFIX.len()).enumerate();
    if places.any(|(at, bytes)| bytes == TOKEN_PREFIX.as_bytes() && target.get(at..).is_some_and(is_token)) {
        let text = "a token in the URL stays in logs and histories, so it is refused there; send it in the header \
                    Authorization: Bearer TOKEN, and replace this one: procblock token remove NAME, procblock token add NAME";
        return Err(Refusal::new(RefusalKind::TokenInUrl, text));
    }
    Ok(())
}

/// The token that a request brings.
///
/// # Errors
/// It brings several.
fn bearer(head: &RequestHead) -> Result<Option<&str>, Refusal> {
    let mut values = head.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(RefusalKind::Head, "the request has two Authorization headers"));
    }
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    // Other schemes are a proxy's, which may leave them in.
    Ok(scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()))
}

/// Whether the body is a form, which can bring the token in a field.
fn is_form(head: &RequestHead) -> bool {
    let kind = head.header(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let kinds = ["application/x-www-form-urlencoded", "multipart/form-data"];
    kinds.iter().any(|form| kind.eq_ignore_ascii_case(form))
}
