//! Who was admitted, and what a browser's form must still bring.

use std::sync::Arc;

use http::StatusCode;

use super::Memory;
use super::audit::Call;
use super::refusal::{Refusal, RefusalKind};
use super::sessions::Session;
use crate::Need;
use crate::users::{Scope, Sha256};

/// The field of a form, or the key of a JSON body, that holds the token against forged requests.
pub(crate) const CSRF_FIELD: &str = "csrf_token";

/// The header that holds it.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// What the guard says of a request that it does not refuse.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may go on.
    Admitted(Visitor),
    /// It may go on when its form brings the token.
    WithForm(Pending),
}

/// A request whose form is to bring its token. Nothing may be run for it before.
#[derive(Debug)]
#[must_use = "only what is confirmed may run"]
pub(crate) struct Pending {
    pub(super) visitor: Visitor,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(super) who: Who,
    /// Whether errors are shown on the page.
    pub(super) sees_errors: bool,
    /// The audit log's line, for what may change something.
    pub(super) call: Option<Call>,
    /// Present where a token against forged requests is wanted.
    pub(super) memory: Option<Arc<Memory>>,
}

/// How a visitor is known.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Not at all.
    Nobody,
    /// By the cookie of a session.
    Session(Arc<Session>, Scope),
    /// By the word of a trusted proxy.
    Vouched(Arc<str>, Scope),
    /// By a token.
    Bearer(Arc<str>, Scope),
}

impl Who {
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match self {
            Who::Nobody => None,
            Who::Session(session, _) => Some(&session.user),
            Who::Vouched(name, _) | Who::Bearer(name, _) => Some(name),
        }
    }

    pub(super) fn scope(&self) -> Option<Scope> {
        match self {
            Who::Nobody => None,
            Who::Session(_, scope) | Who::Vouched(_, scope) | Who::Bearer(_, scope) => Some(*scope),
        }
    }

    /// What the token against forged requests proves; none where a browser adds nothing by itself.
    fn subject(&self) -> Option<Vec<u8>> {
        match self {
            Who::Session(session, _) => Some([b"session:", session.key.as_bytes()].concat()),
            Who::Vouched(name, _) => Some([b"user:", Sha256::of(name.as_bytes()).as_bytes()].concat()),
            Who::Nobody | Who::Bearer(..) => None,
        }
    }

    pub(super) fn csrf_token(&self, memory: &Memory) -> Option<String> {
        self.subject().map(|subject| memory.proof.make(&subject))
    }

    pub(super) fn holds(&self, memory: &Memory, token: &str) -> bool {
        self.subject().is_some_and(|subject| memory.proof.holds(&subject, token))
    }
}

impl Visitor {
    /// The user's name, `token:NAME` for a token; none for somebody who is not known.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.who.name()
    }

    /// Whether errors are shown on the page: to an administrator, and with `dev` to whoever comes by loopback.
    pub(crate) fn sees_errors(&self) -> bool {
        self.sees_errors
    }

    /// The token that forms and scripts of this visitor's pages bring along; none where none is wanted.
    pub(crate) fn csrf_token(&self) -> Option<Arc<str>> {
        self.who.csrf_token(self.memory.as_ref()?).map(Arc::from)
    }

    /// It calls something by name, within one request: the audit log tells the name too.
    pub(crate) fn calls(&self, name: &str) {
        if let Some(call) = &self.call {
            call.names(name);
        }
    }

    /// The request was answered. A request that changes something and ends without is told as one whose client was gone.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        if let Some(call) = &mut self.call {
            call.answered(status);
        }
    }
}

impl Pending {
    /// Makes a visitor of it if the form's field `csrf_token` is right.
    ///
    /// # Errors
    /// It is missing or wrong.
    pub(crate) fn confirm(mut self, field: Option<&str>) -> Result<Visitor, Refusal> {
        let memory = self.visitor.memory.as_ref();
        let is_right = memory.zip(field).is_some_and(|(memory, field)| self.visitor.who.holds(memory, field));
        if is_right {
            return Ok(self.visitor);
        }
        self.visitor.answered(StatusCode::FORBIDDEN);
        Err(csrf_refusal())
    }
}

pub(super) fn csrf_refusal() -> Refusal {
    Refusal::new(
        RefusalKind::CsrfToken,
        "the token against forged requests is missing or wrong; a form brings {{ csrf_token }} in a hidden field \
         csrf_token, a script in the header X-CSRF-Token; reload the page if you logged in since",
    )
}

/// Whether a scope suffices for a need.
pub(super) fn suffices(scope: Option<Scope>, need: Need) -> bool {
    match need {
        Need::Nobody => true,
        Need::Login => scope.is_some(),
        Need::Call => scope >= Some(Scope::Call),
        Need::Admin => scope >= Some(Scope::Admin),
    }
}
