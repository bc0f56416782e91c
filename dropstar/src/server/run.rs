//! A page or procedure is run: its arguments, its turn, its time, and what it gave becomes the answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Method, Response};
use http_body::Body;
use unidist::Stop;

use crate::answer::{self, AnswerBody, Circumstances, Filling, Problem};
use crate::guard::CSRF_FIELD;
use crate::request::{Given, Live, arguments, declared};
use crate::server::handle::{Allowed, BodyError, Content, options};
use crate::site::Entry;
use crate::{Answer, BoxFuture, Failure, FailureKind, Map, Purpose, Request, RequestState};

/// How long a program has past its deadline to say itself where it was.
const SLACK: Duration = Duration::from_millis(500);

/// Answers a request for a page or procedure.
///
/// # Errors
/// The method, the body or an argument is wrong, too much is going on, or the program or its template failed.
pub(crate) async fn answer<B>(
    allowed: &Allowed<'_>,
    entry: &Arc<Entry>,
    content: Content<B>,
) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let allow = entry.methods();
    match *allowed.head.method() {
        Method::OPTIONS => return Ok(options(allow)),
        Method::POST if allow.contains("POST") => {}
        Method::GET | Method::HEAD if allow.contains("GET") => {}
        _ => return Err(Problem::method(allow)),
    }
    let mut given = match content {
        Content::Body(body) => arguments::read(&allowed.head, body, &allowed.serving.config.limits).await?,
        Content::Given(given) => *given,
    };
    // A page that brings its token where none is wanted gives it to no program either.
    given.take(CSRF_FIELD);
    let (values, live) = allowed.run(entry, &mut given).await?;
    finished(allowed, entry, values, live).await.map_err(|detail| Problem::internal(&entry.path(), detail))
}

async fn finished(
    allowed: &Allowed<'_>,
    entry: &Arc<Entry>,
    values: Map,
    live: Arc<Live>,
) -> Result<Response<AnswerBody>, String> {
    let serving = allowed.serving;
    let circumstances = Circumstances {
        prefix: &serving.prefix,
        is_tls: serving.guard.was_reached_by_tls(&allowed.head),
        method: allowed.head.method(),
        came: allowed.head.came,
    };
    if entry.origin.purpose == Purpose::Rpc {
        return answer::flat(values, circumstances);
    }
    let declaration = &entry.loaded.declaration;
    let filling = || Filling {
        declaration: Arc::clone(declaration),
        origin: Arc::clone(&entry.origin),
        arguments: Arc::clone(&live.arguments),
        state: RequestState::from(live),
        prefix: Arc::clone(&serving.prefix),
        form_token: allowed.visitor.csrf_token(),
    };
    let mut answer = answer::page(entry, values, (allowed.wants_json, filling), circumstances).await?;
    if let Some(policy) = &declaration.content_security_policy {
        let value = HeaderValue::from_str(policy);
        let value = value.map_err(|_| "the page's content security policy can't be a header".to_string())?;
        answer.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(value);
    }
    Ok(answer)
}

impl Allowed<'_> {
    /// Runs the program of a page or procedure with what was given, in its turn and within its time.
    ///
    /// # Errors
    /// An argument is wrong, too many programs run, or it failed.
    pub(crate) async fn run(&self, entry: &Arc<Entry>, given: &mut Given) -> Result<(Map, Arc<Live>), Problem> {
        let declaration = &entry.loaded.declaration;
        declared::convert(declaration, given)?;
        let live = Arc::new(Live {
            head: Arc::clone(&self.head),
            arguments: given.shared(),
            origin: Arc::clone(&entry.origin),
            user: self.visitor.name().cloned(),
        });
        let Some(program) = &entry.loaded.program else { return Ok((Map::new(), live)) };
        let begun = Instant::now();
        let deadline = begun + declaration.timeout;
        let _turn = self.serving.turns.take(deadline).await.map_err(|_| Problem::busy())?;
        let request = Request {
            arguments: Arc::clone(&live.arguments),
            state: RequestState::from(Arc::clone(&live)),
            begun,
            deadline,
            stop: Stop::new(),
        };
        let running = Running { program: program.run(&request), stop: Some(&request.stop) };
        let ran = within(deadline + SLACK, running).await;
        let timed_out = || {
            let text = format!("it did not end within {} s", declaration.timeout.as_secs_f64());
            Err(Failure { kind: FailureKind::TimedOut, text, place: None })
        };
        let Answer { values } =
            ran.unwrap_or_else(timed_out).map_err(|failure| Problem::failure(&entry.path(), &failure))?;
        Ok((values, live))
    }
}

/// Waits for a future, until a moment at the latest. What is ready at once costs no timer, and no room for one.
async fn within<F: Future>(until: Instant, future: F) -> Option<F::Output> {
    let (mut future, mut end) = (pin!(future), None);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            let end = end.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
            end.as_mut().poll(context).map(|()| None)
        }
    })
    .await
}

/// A program that runs. Dropped before it ended, because its client went away or its time is over, it is asked to stop
/// first: what it began elsewhere must not go on.
struct Running<'a> {
    program: BoxFuture<'a, Result<Answer, Failure>>,
    /// None once it has ended.
    stop: Option<&'a Stop>,
}

impl Future for Running<'_> {
    type Output = Result<Answer, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.program.as_mut().poll(context);
        if polled.is_ready() {
            self.stop = None;
        }
        polled
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(stop) = self.stop {
            stop.request();
        }
    }
}
