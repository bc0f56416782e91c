//! Bodies made smaller for clients that say they can read that.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response};

use crate::answer::{AnswerBody, content_type};

/// Below it the headers cost more than is saved.
const BYTES_MIN: usize = 1024;

/// Above it compressing would hold an HTTP worker for over a millisecond.
const INLINE_MAX: usize = 64 * 1024;

/// Above it an answer is sent as it is.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whether the client can read gzip (RFC 9110 12.5.3).
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
            let is_wanted = weight.is_some_and(|weight: f32| weight > 0.0);
            match name.trim() {
                name if name.eq_ignore_ascii_case("gzip") => return is_wanted,
                "*" => any = is_wanted,
                _ => {}
            }
        }
    }
    any
}

/// Whether a body of this kind and size is compressed.
pub(crate) fn is_worth(content_type: &str, size: usize) -> bool {
    (BYTES_MIN..=BYTES_MAX).contains(&size) && content_type::is_compressible(content_type)
}

/// Compresses an answer that is whole, of a kind that gets smaller, and not compressed or tagged already.
pub(crate) async fn compress(answer: &mut Response<AnswerBody>, is_accepted: bool) {
    let Some(body) = answer.body().whole().filter(|body| body.len() >= BYTES_MIN) else { return };
    let headers = answer.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !is_worth(kind, body.len()) || headers.contains_key(CONTENT_ENCODING) || headers.contains_key(ETAG) {
        return;
    }
    let smaller = if is_accepted { Box::pin(gzip(body.clone(), Compression::fast())).await } else { None };
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(smaller) = smaller {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *answer.body_mut() = AnswerBody::Whole(smaller);
    }
}

/// The bytes compressed; none if that does not make them fewer.
pub(crate) async fn gzip(bytes: Bytes, level: Compression) -> Option<Bytes> {
    if bytes.len() <= INLINE_MAX {
        return gzip_here(&bytes, level);
    }
    tokio::task::spawn_blocking(move || gzip_here(&bytes, level)).await.ok().flatten()
}

fn gzip_here(bytes: &[u8], level: Compression) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    encoder.write_all(bytes).ok()?;
    let smaller = encoder.finish().ok()?;
    (smaller.len() < bytes.len()).then(|| smaller.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_for_those_who_take_it() {
        for (text, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("*", true),
            ("*;q=0", false),
            ("*, gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{text}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
