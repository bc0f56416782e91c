//! The body of a request, in bounds of size and time.

use std::io::Write as _;

use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::Limits;
use crate::answer::Problem;

/// All of a body, decompressed.
///
/// # Errors
/// It is too large, compressed in an unknown way or wrongly, did not come in time, or the client went away.
pub(crate) async fn read<B>(headers: &HeaderMap, body: B, limits: &Limits) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let decoder = Decoder::of(headers, limits.body_bytes)?;
    check_length(headers, limits.body_bytes as u64)?;
    in_time(limits, collect(body, decoder, limits.body_bytes)).await
}

/// Refuses a body whose told length is too much, before any of it is read.
///
/// # Errors
/// It is.
pub(crate) fn check_length(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) { Err(too_large(limit)) } else { Ok(()) }
}

/// Waits for a reading as long as a body may take.
///
/// # Errors
/// The reading's, or it took too long.
pub(crate) async fn in_time<T>(
    limits: &Limits,
    reading: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::time::timeout(limits.body_timeout, reading).await.unwrap_or_else(|_| {
        let text = format!("the body did not come within {} s", limits.body_timeout.as_secs_f64());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, text).closing())
    })
}

/// The body is larger than allowed.
pub(crate) fn too_large(limit: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes")).closing()
}

/// The client stopped in the middle of its body; nobody reads the answer.
pub(crate) fn cut(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("the body ended early: {error}")).closing()
}

async fn collect<B>(mut body: B, decoder: Decoder, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut decoder = decoder;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(cut)?.into_data() else { continue };
        if let Decoder::None = decoder {
            size += bytes.len();
            if size > limit {
                return Err(too_large(limit as u64));
            }
            // Most bodies come in one piece, which then needs no copy.
            if first.is_empty() {
                first = bytes;
            } else {
                rest.extend_from_slice(&bytes);
            }
        } else {
            decoder.write(&bytes, limit)?;
        }
    }
    match decoder {
        Decoder::None if rest.is_empty() => Ok(first),
        Decoder::None => Ok([first, rest.freeze()].concat().into()),
        decoder => decoder.finish(limit),
    }
}

/// Undoes a body's compression.
enum Decoder {
    None,
    Gzip(GzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
}

/// A buffer that takes so much and no more.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    fn of(headers: &HeaderMap, limit: usize) -> Result<Decoder, Problem> {
        let bounded = Bounded { bytes: Vec::new(), limit };
        match headers.get(CONTENT_ENCODING).map(|coding| coding.as_bytes().to_ascii_lowercase()).as_deref() {
            None | Some(b"identity") => Ok(Decoder::None),
            Some(b"gzip" | b"x-gzip") => Ok(Decoder::Gzip(GzDecoder::new(bounded))),
            Some(b"deflate") => Ok(Decoder::Deflate(ZlibDecoder::new(bounded))),
            Some(_) => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body is compressed in a way that is not known here, expected gzip or deflate",
            )),
        }
    }

    fn write(&mut self, bytes: &[u8], limit: usize) -> Result<(), Problem> {
        match self {
            Decoder::None => Ok(()),
            Decoder::Gzip(decoder) => decoder.write_all(bytes),
            Decoder::Deflate(decoder) => decoder.write_all(bytes),
        }
        .map_err(|error| undecoded(&error, limit))
    }

    fn finish(self, limit: usize) -> Result<Bytes, Problem> {
        match self {
            Decoder::None => Ok(Bounded { bytes: Vec::new(), limit }),
            Decoder::Gzip(decoder) => decoder.finish(),
            Decoder::Deflate(decoder) => decoder.finish(),
        }
        .map(|bounded| bounded.bytes.into())
        .map_err(|error| undecoded(&error, limit))
    }
}

fn undecoded(error: &std::io::Error, limit: usize) -> Problem {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return too_large(limit as u64);
    }
    Problem::new(StatusCode::BAD_REQUEST, format!("the body can't be decompressed: {error}")).closing()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::Full;

    use super::*;

    async fn read_gzip(content: &[u8], limit: usize) -> Result<Bytes, Problem> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        let body = Full::new(Bytes::from(encoder.finish().unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        read(&headers, body, &Limits { body_bytes: limit, ..Limits::default() }).await
    }

    #[tokio::test]
    async fn a_compressed_body_counts_by_what_it_unpacks_to() {
        assert_eq!(read_gzip(&[7; 1000], 1000).await.unwrap(), vec![7; 1000]);
        let problem = read_gzip(&vec![0; 50_000_000], 1_000_000).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_is_compared_with_the_limit_to_the_byte() {
        let limits = Limits { body_bytes: 10, ..Limits::default() };
        let body = |size| Full::new(Bytes::from(vec![1; size]));
        assert!(read(&HeaderMap::new(), body(10), &limits).await.is_ok());
        assert!(read(&HeaderMap::new(), body(11), &limits).await.is_err());
    }

    #[tokio::test]
    async fn unknown_and_broken_compression_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("br"));
        let body = || Full::new(Bytes::from_static(b"no gzip"));
        let limits = Limits::default();
        assert_eq!(read(&headers, body(), &limits).await.unwrap_err().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        assert_eq!(read(&headers, body(), &limits).await.unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
