//! The server's own routes.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::Body;

use crate::answer::{self, AnswerBody, Problem};
use crate::rpc;
use crate::server::handle::{Allowed, BodyError, options};
use crate::site::Own;

/// The methods of what can only be read.
const READ: &str = "GET, HEAD, OPTIONS";

/// Answers one of the server's own routes.
///
/// # Errors
/// The method is wrong, or what a procedure gives.
pub(crate) async fn answer<B>(allowed: &Allowed<'_>, own: Own, body: B) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let allow = if own == Own::Procedures { rpc::METHODS } else { READ };
    if *allowed.head.method() == Method::OPTIONS {
        return Ok(options(allow));
    }
    if own == Own::Procedures && *allowed.head.method() == Method::POST {
        return rpc::call(allowed, body).await;
    }
    allowed.reads(allow)?;
    match own {
        Own::Procedures => Ok(rpc::list(allowed).await),
        Own::OpenApi => Ok(rpc::open_api(allowed).await),
        Own::Health => Ok(answer::json(&serde_json::json!({"status": "ok"}))),
        Own::Ready => Ok(ready(allowed)),
        Own::Version => Ok(answer::json(&serde_json::json!({"dropstar": env!("CARGO_PKG_VERSION")}))),
    }
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
