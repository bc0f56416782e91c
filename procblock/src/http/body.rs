//! Reading a body within its cap, uncompressed.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use crate::http::error::{HttpError, HttpErrorKind};

/// What compression may add to a body of its own, in bytes: headers and empty blocks count as they come.
const OVERHEAD_MAX: u64 = 64 * 1024;

/// Reads a body to its end; `received` counts its bytes as they come.
///
/// # Errors
/// It is larger than `size_max`, breaks off, or is compressed in a way that is unknown or wrong. The text goes behind
/// the method and URL.
pub(super) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    size_max: u64,
    received: &AtomicU64,
) -> Result<Vec<u8>, HttpError> {
    let mut decoder = Decoder::of(headers, size_max)?;
    if decoder.is_plain() && body.size_hint().lower() > size_max {
        return Err(too_large(size_max));
    }
    let mut total = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error, total))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len() as u64);
        received.store(total, Ordering::Relaxed);
        if total > size_max.saturating_add(OVERHEAD_MAX) {
            return Err(too_large(size_max));
        }
        decoder.write(&data).map_err(|error| decoder.failure(&error, size_max))?;
    }
    decoder.finish(total, size_max)
}

fn too_large(size_max: u64) -> HttpError {
    let text = format!("the answer is larger than {}; raise size max, or ask for less", format_size(size_max));
    HttpError::new(HttpErrorKind::TooLarge, text)
}

/// A size as users write it.
fn format_size(bytes: u64) -> String {
    match bytes {
        0 => "0 bytes".into(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

fn broken_off(error: &hyper::Error, total: u64) -> HttpError {
    let cause = super::connector::root_text(error);
    HttpError::new(HttpErrorKind::Broken, format!("the answer broke off after {total} bytes: {cause}"))
}

/// Bytes that never grow beyond their cap.
struct Bounded {
    bytes: Vec<u8>,
    room: u64,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.room.checked_sub(buffer.len() as u64) {
            Some(room) => self.room = room,
            None => {
                self.is_full = true;
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        self.bytes.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Deflate(Box<ZlibDecoder<Bounded>>),
}

impl Decoder {
    fn of(headers: &HeaderMap, size_max: u64) -> Result<Self, HttpError> {
        let bounded = Bounded { bytes: Vec::new(), room: size_max, is_full: false };
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Decoder::Plain(bounded)),
            "gzip" | "x-gzip" => Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(bounded)))),
            "deflate" => Ok(Decoder::Deflate(Box::new(ZlibDecoder::new(bounded)))),
            other => {
                let shown: String = other.chars().take(40).collect();
                let text = format!("the answer is compressed as {shown}; only gzip and deflate are read");
                Err(HttpError::new(HttpErrorKind::Broken, text))
            }
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Decoder::Plain(_))
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Decoder::Plain(bounded) => bounded.write_all(data),
            Decoder::Gzip(decoder) => decoder.write_all(data),
            Decoder::Deflate(decoder) => decoder.write_all(data),
        }
    }

    fn bounded(&mut self) -> &mut Bounded {
        match self {
            Decoder::Plain(bounded) => bounded,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
        }
    }

    fn failure(&mut self, error: &io::Error, size_max: u64) -> HttpError {
        if self.bounded().is_full {
            return too_large(size_max);
        }
        HttpError::new(HttpErrorKind::Broken, format!("the answer's compression is wrong: {error}"))
    }

    /// The whole body. One without a byte is empty, whatever its compression.
    fn finish(mut self, total: u64, size_max: u64) -> Result<Vec<u8>, HttpError> {
        if total > 0 {
            let finished = match &mut self {
                Decoder::Plain(_) => Ok(()),
                Decoder::Gzip(decoder) => decoder.try_finish(),
                Decoder::Deflate(decoder) => decoder.try_finish(),
            };
            finished.map_err(|error| self.failure(&error, size_max))?;
        }
        Ok(std::mem::take(&mut self.bounded().bytes))
    }
}
