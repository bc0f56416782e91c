//! The server's own routes.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::Body;

use crate::answer::{self, AnswerBody, Problem};
use crate::guard::{Access, Asked, LOG_IN_BYTES_MAX};
use crate::request::body;
use crate::rpc;
use crate::server::handle::{Allowed, BodyError, Content, options};
use crate::site::Own;
use crate::{Limits, Need};

/// The methods of what can only be read.
const READ: &str = "GET, HEAD, OPTIONS";

/// The methods of a log-in and a log-out.
const LOG_IN: &str = "GET, HEAD, OPTIONS, POST";
const LOG_OUT: &str = "OPTIONS, POST";

/// Answers one of the server's own routes.
///
/// # Errors
/// The method is wrong, or the body can't be read.
pub(crate) async fn answer<B>(
    allowed: &Allowed<'_>,
    own: Own,
    content: Content<B>,
) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let allow = match own {
        Own::Procedures => rpc::METHODS,
        Own::LogIn => LOG_IN,
        Own::LogOut => LOG_OUT,
        _ => READ,
    };
    let method = allowed.head.method();
    if *method == Method::OPTIONS {
        return Ok(options(allow));
    }
    let is_post = *method == Method::POST;
    if !(is_post && allow.contains("POST") || !is_post && allowed.head.is_reading() && allow.contains("GET")) {
        return Err(Problem::method(allow));
    }
    match own {
        Own::Procedures if is_post => rpc::call(allowed, content).await,
        Own::Procedures => Ok(rpc::list(allowed).await),
        Own::OpenApi => Ok(rpc::open_api(allowed).await),
        Own::Health => Ok(answer::json(&serde_json::json!({"status": "ok"}))),
        Own::Ready => Ok(ready(allowed)),
        Own::Version => Ok(answer::json(&serde_json::json!({"dropstar": env!("CARGO_PKG_VERSION")}))),
        Own::LogIn if is_post => log_in(allowed, content).await,
        Own::LogIn => Ok(allowed.serving.guard.log_in_page(&allowed.head).map(AnswerBody::from)),
        Own::LogOut => {
            let asked = Asked { head: &allowed.head, access: Access::Declared(Need::Login), is_changing: true };
            Ok(allowed.serving.guard.log_out(&asked, &allowed.visitor).map(AnswerBody::from))
        }
    }
}

async fn log_in<B>(allowed: &Allowed<'_>, content: Content<B>) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    // It is open to everybody, so the guard reads no form of it before.
    let Content::Unread(body) = content else { return Err(Problem::missing()) };
    let limits = Limits { body_bytes: LOG_IN_BYTES_MAX, ..allowed.serving.config.limits.clone() };
    let bytes = body::read(allowed.head.headers(), body, &limits).await?;
    Ok(allowed.serving.guard.log_in(&allowed.head, &bytes).await.map(AnswerBody::from))
}

/// Whether requests should be sent here, with the reason where not.
fn ready(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    if !allowed.serving.surroundings.is_ending() {
        return answer::json(&serde_json::json!({"status": "ready"}));
    }
    let mut answer = answer::json(&serde_json::json!({"status": "not ready", "reasons": ["the server ends"]}));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}
