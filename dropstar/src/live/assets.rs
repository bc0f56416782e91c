//! Scripts of our own that pages load.

use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::answer::{AnswerBody, accepts_gzip, gzip};
use crate::users::Sha256;

/// `/dropstar.js`.
pub(crate) static SCRIPT: Asset = Asset::script(include_str!("../assets/dropstar.js"));

/// `/dropstar-charts.js`, which `make web` bundles.
#[cfg(feature = "charts")]
pub(crate) static CHARTS: Asset = Asset::script(include_str!("../../../web/dist/dropstar-charts.js"));

/// Says to `/dropstar.js` that pictures are to be shown instead.
#[cfg(not(feature = "charts"))]
pub(crate) static CHARTS: Asset = Asset::script("export const draw = null;\n");

/// A script that is part of the program.
pub(crate) struct Asset {
    text: &'static str,
    made: OnceLock<Made>,
}

/// What is made of it once.
struct Made {
    tag: HeaderValue,
    compressed_tag: HeaderValue,
    compressed: Option<Bytes>,
}

impl Asset {
    const fn script(text: &'static str) -> Asset {
        Asset { text, made: OnceLock::new() }
    }

    async fn made(&self) -> &Made {
        if let Some(made) = self.made.get() {
            return made;
        }
        let compressed = gzip(Bytes::from_static(self.text.as_bytes()), Compression::best()).await;
        let version: String =
            Sha256::of(self.text.as_bytes()).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        // Hexadecimal digits fit a header.
        let tag =
            |more| HeaderValue::try_from(format!("\"{version}{more}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        self.made.get_or_init(|| Made { tag: tag(""), compressed_tag: tag("-gzip"), compressed })
    }

    /// The answer: the script, or that the client's copy is the same. A copy is asked about each time, so that pages
    /// never run with the script of another version.
    pub(crate) async fn answer(&self, headers: &HeaderMap) -> Response<AnswerBody> {
        let made = self.made().await;
        let compressed = made.compressed.as_ref().filter(|_| accepts_gzip(headers));
        let tag = if compressed.is_some() { &made.compressed_tag } else { &made.tag };
        let mut answer = Response::new(AnswerBody::empty());
        let is_known =
            headers.get_all(IF_NONE_MATCH).iter().any(|known| [&made.tag, &made.compressed_tag].contains(&known));
        let answered = answer.headers_mut();
        answered.insert(ETAG, tag.clone());
        answered.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answered.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_known {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        answered.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        if let Some(compressed) = compressed {
            answered.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            *answer.body_mut() = AnswerBody::Whole(compressed.clone());
        } else {
            *answer.body_mut() = AnswerBody::Whole(Bytes::from_static(self.text.as_bytes()));
        }
        answer
    }
}
