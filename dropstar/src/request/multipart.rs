//! Forms in parts: texts, and files that are kept in temporary files while the request runs.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyDataStream;
use multer::{Field, Multipart};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::answer::Problem;
use crate::request::arguments::{Given, TooMany};
use crate::request::{body, pairs};
use crate::{Limits, Value};

/// Reads a form. A text field becomes a text; a file becomes `{file, name, type, size}`, where `file` is the path of a
/// temporary file that is removed when the request is over and `name` what the client called it.
///
/// # Errors
/// It is malformed, compressed, too large or too slow, or it has too many fields.
pub(crate) async fn read<B>(headers: &HeaderMap, kind: &str, content: B, limits: &Limits) -> Result<Given, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    if headers.contains_key(CONTENT_ENCODING) {
        let text = "a form in parts can't be compressed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    body::check_length(headers, limits.upload_bytes.saturating_add(limits.body_bytes as u64))?;
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let form = Multipart::new(BodyDataStream::new(content), boundary);
    body::in_time(limits, read_fields(form, limits)).await
}

async fn read_fields(mut form: Multipart<'_>, limits: &Limits) -> Result<Given, Problem> {
    let mut given = Given::default();
    let mut left = Left { text: limits.body_bytes, upload: limits.upload_bytes };
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        fields += 1;
        if fields > limits.arguments {
            return Err(Problem::from(TooMany(limits.arguments)).closing());
        }
        let Some(name) = field.name().map(str::to_string) else { continue };
        let value = match field.file_name().map(str::to_string) {
            Some(file_name) => upload(field, &file_name, &mut left, &mut given).await?,
            None => Value::String(text(field, &mut left).await?),
        };
        pairs::add(&mut given.arguments, &name, value);
    }
    Ok(given)
}

/// The bytes that may still come.
struct Left {
    text: usize,
    upload: u64,
}

async fn text(mut field: Field<'_>, left: &mut Left) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        left.text = left.text.checked_sub(chunk.len()).ok_or_else(|| body::too_large(left.text as u64))?;
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "a field of the form is no text in utf-8").closing())
}

async fn upload(mut field: Field<'_>, name: &str, left: &mut Left, given: &mut Given) -> Result<Value, Problem> {
    let made = tokio::task::spawn_blocking(|| NamedTempFile::with_prefix("dropstar-")).await;
    let (file, path) = made.map_err(std::io::Error::other).flatten().map_err(|error| unkept(&error))?.into_parts();
    let kept = path.display().to_string();
    // Kept from here on, so that it is removed whatever comes next.
    given.uploads.push(path);
    let mut file = tokio::fs::File::from_std(file);
    let kind = field.content_type().map(ToString::to_string);
    let mut size = 0_u64;
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        size += chunk.len() as u64;
        left.upload = left.upload.checked_sub(chunk.len() as u64).ok_or_else(|| body::too_large(size))?;
        file.write_all(&chunk).await.map_err(|error| unkept(&error))?;
    }
    file.flush().await.map_err(|error| unkept(&error))?;
    Ok(serde_json::json!({"file": kept, "name": plain_name(name), "type": kind, "size": size}))
}

/// The last part of what the client calls its file, without what could do harm in a path or a line.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|character| !character.is_control()).take(255).collect();
    if matches!(clean.as_str(), "" | "." | "..") { "file".into() } else { clean }
}

fn malformed(error: multer::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("the form is malformed: {error}")).closing()
}

fn unkept(error: &std::io::Error) -> Problem {
    Problem { closes: true, ..Problem::internal("an upload can't be kept", error.to_string()) }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
        --x\r\nContent-Disposition: form-data; name=\"l[]\"\r\n\r\ntwo\r\n\
        --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../../etc/pass\\wd\"\r\n\
        Content-Type: text/plain\r\n\r\ncontent\r\n--x--\r\n";

    async fn read_form(form: &str, limits: &Limits) -> Result<Given, Problem> {
        let body = Full::new(Bytes::from(form.to_string()));
        read(&HeaderMap::new(), "multipart/form-data; boundary=x", body, limits).await
    }

    #[tokio::test]
    async fn texts_and_files_are_read_and_files_are_removed_afterwards() {
        let given = read_form(FORM, &Limits::default()).await.unwrap();
        assert_eq!(given.arguments["a"], "one");
        assert_eq!(given.arguments["l"], serde_json::json!(["two"]));
        let file = &given.arguments["f"];
        assert_eq!(file["name"], "wd");
        assert_eq!(file["type"], "text/plain");
        assert_eq!(file["size"], 7);
        let path = file["file"].as_str().unwrap().to_string();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "content");
        drop(given);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[tokio::test]
    async fn texts_uploads_and_fields_are_bounded() {
        let limits = Limits { body_bytes: 5, ..Limits::default() };
        assert_eq!(read_form(FORM, &limits).await.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        let limits = Limits { upload_bytes: 6, ..Limits::default() };
        assert_eq!(read_form(FORM, &limits).await.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        let limits = Limits { arguments: 2, ..Limits::default() };
        assert_eq!(read_form(FORM, &limits).await.unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_malformed_form_is_refused() {
        for form in ["", "--x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none", "nothing"] {
            assert_eq!(
                read_form(form, &Limits::default()).await.unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{form}"
            );
        }
    }
}
