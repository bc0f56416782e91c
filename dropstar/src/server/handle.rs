//! The way of a request: site and route, guard, arguments, program, answer.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;

use crate::answer::{self, AnswerBody, Form, Problem, accepts_gzip, compress};
use crate::guard::{self, Admission, Asked, CSRF_FIELD, Visitor, Whose};
use crate::live::traffic::RouteKind;
use crate::request::{BadHead, Ends, Given, RequestHead, arguments};
use crate::server::serving::Serving;
use crate::server::{own, run};
use crate::site::{Moment, Route};

/// What a body's error has to be.
pub(crate) trait BodyError: std::error::Error + Send + Sync + 'static {}
impl<T: std::error::Error + Send + Sync + 'static> BodyError for T {}

/// A request that the guard let through.
pub(crate) struct Allowed<'a> {
    /// What is served.
    pub(crate) serving: &'a Serving,
    /// What is known of the request.
    pub(crate) head: Arc<RequestHead>,
    /// Who asks.
    pub(crate) visitor: Visitor,
    /// Whether JSON is wanted.
    pub(crate) wants_json: bool,
}

/// The body of a request.
pub(crate) enum Content<B> {
    /// As it comes.
    Body(B),
    /// Read already, because the guard wanted to see the form.
    Given(Box<Given>),
}

impl<B> Content<B> {
    /// The body, unless it was read as a form.
    pub(crate) fn body(self) -> Option<B> {
        match self {
            Content::Body(body) => Some(body),
            Content::Given(_) => None,
        }
    }
}

/// A request whose head was read. A head is large: what waits for an answer carries a reference.
pub(crate) struct Opened<B> {
    head: Result<Arc<RequestHead>, BadHead>,
    body: B,
    is_tls: bool,
    /// Whether its connection is closed behind the answer.
    closes: bool,
}

impl<B> Opened<B> {
    /// Reads the head of a request that came at this moment.
    pub(crate) fn new(serving: &Serving, request: http::Request<B>, (ends, came): (Ends, Moment)) -> Self {
        let (mut parts, body) = request.into_parts();
        let (is_tls, closes) = (ends.is_tls, closes_after(&parts));
        serving.guard.clean(&mut parts.headers, ends.peer);
        let head = RequestHead::new(parts, (ends, came), &serving.config.prefix).map(Arc::new);
        Opened { head, body, is_tls, closes }
    }
}

/// Answers a request. Whatever happens, there is an answer.
pub(crate) async fn handle<B>(serving: &Serving, request: Opened<B>) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let begun = Instant::now();
    let mut kind = RouteKind::None;
    let Opened { head, body, is_tls, closes } = request;
    let (mut answer, whose) = match head {
        Ok(head) => {
            let is_head = *head.method() == Method::HEAD;
            let is_gzip_accepted = accepts_gzip(head.headers());
            let (mut answer, whose) = answer_to(serving, head, body, &mut kind).await;
            compress(&mut answer, is_gzip_accepted).await;
            if is_head {
                drop_body(&mut answer);
            }
            (answer, whose)
        }
        Err(bad) => {
            let form = Form { is_json: false, shows_detail: false };
            (Problem::new(StatusCode::BAD_REQUEST, bad.to_string()).closing().answer(form), Whose::Own)
        }
    };
    guard::complete(whose, answer.headers_mut());
    if is_tls {
        guard::stay_with_tls(serving.config.strict_transport, answer.headers_mut());
    }
    if closes {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    serving.surroundings.traffic.answered(kind, answer.status(), begun);
    answer
}

/// A message in chunks on HTTP/1 may have had a Content-Length too, which a proxy in front may have believed: nothing
/// else is read from such a connection (RFC 9112 6.1).
fn closes_after(parts: &http::request::Parts) -> bool {
    parts.version <= Version::HTTP_11 && parts.headers.contains_key(TRANSFER_ENCODING)
}

/// HEAD has the headers of GET and no body.
fn drop_body(answer: &mut Response<AnswerBody>) {
    if let Some(size) = answer.body().size_hint().exact()
        && !answer.headers().contains_key(CONTENT_LENGTH)
    {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    *answer.body_mut() = AnswerBody::empty();
}

async fn answer_to<B>(
    serving: &Serving,
    head: Arc<RequestHead>,
    body: B,
    kind: &mut RouteKind,
) -> (Response<AnswerBody>, Whose)
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let wants_json = answer::wants_json(head.headers(), head.query());
    let form = Form { is_json: wants_json, shows_detail: false };
    let route = match unwound(pin!(async { Ok(serving.sites.route(&head).await) })).await {
        Ok(route) => route,
        Err(problem) => return (problem.answer(form), Whose::Own),
    };
    *kind = RouteKind::of(&route);
    let form = Form { is_json: wants_json || route.is_json(), ..form };
    let (visitor, content) = match admit(serving, &head, &route, body).await {
        Ok(admitted) => admitted,
        Err(Turned::Refused(refusal)) => {
            let answer = refusal.response(&head, &serving.prefix, form.is_json);
            return (answer.map(AnswerBody::from), Whose::Own);
        }
        Err(Turned::Wrong(problem)) => return (problem.answer(form), Whose::Own),
    };
    let form = Form { shows_detail: visitor.sees_errors(), ..form };
    let whose =
        if matches!(route, Route::Page(_) | Route::Static(_) | Route::Public(_)) { Whose::Users } else { Whose::Own };
    let mut allowed = Allowed { serving, head, visitor, wants_json: form.is_json };
    let (answer, whose) = match unwound(pin!(allowed.answer(route, content))).await {
        Ok(answer) => (answer, whose),
        Err(problem) => (problem.answer(form), Whose::Own),
    };
    allowed.visitor.answered(answer.status());
    (answer, whose)
}

/// Why a request got no further than the guard.
enum Turned {
    Refused(guard::Refusal),
    Wrong(Problem),
}

/// Asks the guard. A form that is to bring its token is read for that; nothing has run by then.
async fn admit<B>(
    serving: &Serving,
    head: &RequestHead,
    route: &Route,
    body: B,
) -> Result<(Visitor, Content<B>), Turned>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    match serving.guard.check(&Asked::about(head, route)).map_err(Turned::Refused)? {
        Admission::Admitted(visitor) => Ok((visitor, Content::Body(body))),
        Admission::WithForm(pending) => {
            let read = arguments::read(head, body, &serving.config.limits).await;
            let mut given = read.map_err(Turned::Wrong)?;
            let token = given.take(CSRF_FIELD);
            let token = token.as_ref().and_then(serde_json::Value::as_str);
            Ok((pending.confirm(token).map_err(Turned::Refused)?, Content::Given(Box::new(given))))
        }
    }
}

/// A panic of a program or a loader is an answer, not a cut connection.
async fn unwound<T>(mut answering: Pin<&mut impl Future<Output = Result<T, Problem>>>) -> Result<T, Problem> {
    let polled = std::future::poll_fn(|context| {
        let poll = std::panic::catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
        match poll {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    polled.await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        Err(Problem::internal("a request ended in a panic", text))
    })
}

impl Allowed<'_> {
    async fn answer<B>(&self, route: Route, content: Content<B>) -> Result<Response<AnswerBody>, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: BodyError,
    {
        match route {
            Route::Page(entry) | Route::Procedure(entry) => run::answer(self, &entry, content).await,
            Route::Static(file) | Route::Public(file) => {
                self.reads("GET, HEAD, OPTIONS")?;
                if *self.head.method() == Method::OPTIONS {
                    return Ok(options("GET, HEAD, OPTIONS"));
                }
                Ok(answer::static_answer(&file, self.head.headers()).await)
            }
            Route::Folder(path) => Ok(self.moved(&path)),
            Route::Own(own) => Box::pin(own::answer(self, own, content)).await,
            Route::Broken(broken) => Err(Problem::broken(&broken)),
            Route::Missing => Err(Problem::missing()),
        }
    }

    /// Refuses methods that change something.
    ///
    /// # Errors
    /// The request's is one.
    pub(crate) fn reads(&self, allow: &'static str) -> Result<(), Problem> {
        if self.head.is_reading() { Ok(()) } else { Err(Problem::method(allow)) }
    }

    fn moved(&self, path: &str) -> Response<AnswerBody> {
        let query = self.head.query();
        let mark = if query.is_empty() { "" } else { "?" };
        let path: String = percent_encoding::utf8_percent_encode(path, PATH).collect();
        let mut answer = Response::new(AnswerBody::empty());
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        if let Ok(location) = HeaderValue::try_from(format!("{}{path}{mark}{query}", self.serving.prefix)) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }
}

/// What has to be written in percent within a path.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`');

/// The methods, for who asks.
pub(crate) fn options(allow: &'static str) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}
