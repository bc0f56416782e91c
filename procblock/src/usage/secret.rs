//! Secret options: their values can come from the environment or a file, so that they stand in no list of processes.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;

use crate::usage::{Opt, UsageError};

/// The longest secret in a file, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// The value that a secret option's text stands for: that of `env:NAME`, the contents of `file:PATH` without its last
/// line end, what follows `text:`, else the text itself.
///
/// # Errors
/// The variable is not set, or the file can't be read; the text is not told.
pub(super) fn resolve<'t>(option: &Opt, text: &'t str) -> Result<Cow<'t, str>, UsageError> {
    let refuse = |reason: String| UsageError(format!("--{}: {reason}", option.name));
    if let Some(name) = text.strip_prefix("env:") {
        return match std::env::var(name) {
            Ok(value) => Ok(Cow::Owned(value)),
            Err(std::env::VarError::NotUnicode(_)) => Err(refuse(format!("{name} is no UTF-8 text"))),
            Err(std::env::VarError::NotPresent) => Err(refuse(format!(
                "the environment variable {name} is not set; set it, or write text:env:{name} if that is the value itself"
            ))),
        };
    }
    if let Some(path) = text.strip_prefix("file:") {
        let read = || {
            let mut contents = String::new();
            File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut contents).map(|_| contents)
        };
        let contents = read().map_err(|error| refuse(format!("the file {path} can't be read: {error}")))?;
        if contents.len() as u64 > FILE_MAX {
            return Err(refuse(format!("the file {path} is larger than 64 KiB")));
        }
        let end = contents.strip_suffix('\n').unwrap_or(&contents);
        return Ok(Cow::Owned(end.strip_suffix('\r').unwrap_or(end).to_owned()));
    }
    Ok(Cow::Borrowed(text.strip_prefix("text:").unwrap_or(text)))
}
