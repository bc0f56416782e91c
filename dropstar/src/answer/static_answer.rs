//! How a static file is answered: validators, ranges, compression.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::answer::response::HEADERS_USUAL;
use crate::answer::static_files::{Content, StaticFile};
use crate::answer::{AnswerBody, compression};

/// How much of a file is read at once, in bytes.
const CHUNK: u64 = 128 * 1024;

/// The answer for a static file.
pub(crate) async fn answer(file: &StaticFile, headers: &HeaderMap) -> Response<AnswerBody> {
    let range = headers.get(RANGE).filter(|_| is_range_wanted(file, headers)).and_then(|range| range.to_str().ok());
    let wants_gzip = range.is_none() && compression::accepts_gzip(headers);
    let compressed = if wants_gzip { file.compressed().await } else { None };
    let tag = if compressed.is_some() { &file.compressed_tag } else { &file.tag };
    let mut answer = Response::new(AnswerBody::empty());
    *answer.headers_mut() = HeaderMap::with_capacity(HEADERS_USUAL);
    set_headers(answer.headers_mut(), file, tag);
    if is_unchanged(file, headers) {
        answer.headers_mut().remove(CONTENT_TYPE);
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    if let Some(compressed) = compressed {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *answer.body_mut() = AnswerBody::Whole(compressed);
        return answer;
    }
    let size = file.size();
    match range.map_or(Range::Whole, |range| parse_range(range, size)) {
        Range::Whole => *answer.body_mut() = part(file, 0, size),
        Range::Part { from, to } => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            set_content_range(&mut answer, format!("bytes {from}-{}/{size}", to - 1));
            *answer.body_mut() = part(file, from, to);
        }
        Range::Outside => {
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            answer.headers_mut().remove(CONTENT_TYPE);
            set_content_range(&mut answer, format!("bytes */{size}"));
        }
    }
    answer
}

fn set_headers(headers: &mut HeaderMap, file: &StaticFile, tag: &HeaderValue) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(ETAG, tag.clone());
    headers.insert(LAST_MODIFIED, file.modified.clone());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A copy is asked about each time, so that an edit shows at once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if compression::is_worth(file.content_type, usize::try_from(file.size()).unwrap_or(usize::MAX)) {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn set_content_range(answer: &mut Response<AnswerBody>, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers_mut().insert(CONTENT_RANGE, value);
    }
}

/// Whether the client's copy is this version (RFC 9110 13.2.2).
fn is_unchanged(file: &StaticFile, headers: &HeaderMap) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let mut tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        return tags.any(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || file.tag == tag || file.compressed_tag == tag
        });
    }
    date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| file.stamp.modified() <= since)
}

/// Whether a range of this very version is wanted (RFC 9110 13.1.5).
fn is_range_wanted(file: &StaticFile, headers: &HeaderMap) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(value) if value == file.tag => true,
        Some(_) => date(headers, &IF_RANGE).is_some_and(|date| file.stamp.modified() == date),
    }
}

fn date(headers: &HeaderMap, name: &http::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The part of a file that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Whole,
    /// From a byte to the one before another.
    Part {
        from: u64,
        to: u64,
    },
    Outside,
}

/// Reads `bytes=…`. What is not understood, and more than one range, gives the whole (RFC 9110 14.2).
fn parse_range(text: &str, size: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Range::Whole;
    };
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return Range::Whole,
        (true, false) => match last.parse::<u64>() {
            Ok(count) => (size.saturating_sub(count), if count == 0 { 0 } else { size }),
            Err(_) => return Range::Whole,
        },
        (false, _) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Err(_)) if last.is_empty() => (first, size),
            (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
            _ => return Range::Whole,
        },
    };
    match range {
        (from, to) if from < to => Range::Part { from, to },
        _ => Range::Outside,
    }
}

fn part(file: &StaticFile, from: u64, to: u64) -> AnswerBody {
    match &file.content {
        Content::Memory(bytes) => {
            let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            AnswerBody::Whole(bytes.slice(index(from)..index(to)))
        }
        Content::Disk(file) => {
            AnswerBody::Stream(Box::pin(FileBody { file: Arc::clone(file), at: from, to, reading: None }))
        }
    }
}

/// A part of a file, read while it is sent.
struct FileBody {
    file: Arc<File>,
    at: u64,
    to: u64,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.at >= self.to {
            return Poll::Ready(None);
        }
        let (at, size) = (self.at, (self.to - self.at).min(CHUNK));
        let file = Arc::clone(&self.file);
        let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(move || read(&file, at, size)));
        let read = std::task::ready!(Pin::new(reading).poll(context));
        self.reading = None;
        match read.map_err(std::io::Error::other).flatten() {
            Ok(bytes) => {
                self.at += bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                self.at = self.to;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.to
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.to - self.at)
    }
}

/// A file that got shorter since its size was told is an error, which cuts the connection.
fn read(file: &File, at: u64, size: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_the_whole() {
        let part = |from, to| Range::Part { from, to };
        for (text, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=5-500", part(5, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=5-4", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=99999999999999999999-", Range::Whole),
            ("lines=1-2", Range::Whole),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Range::Outside);
    }
}
