//! Reading a script's file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::error::RunError;
use crate::load::likely_name;
use crate::script::identity::Identity;

/// A larger script is refused, in bytes.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// The content with the identity it had when it was opened. Blocks for the read.
pub(crate) fn read(path: &Path) -> io::Result<(Vec<u8>, Identity)> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "not a regular file"));
    }
    let file = File::open(path)?;
    let identity = Identity::from_metadata(&file.metadata()?);
    let mut content = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length > SIZE_MAX) {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("larger than {SIZE_MAX} bytes")));
    }
    Ok((content, identity))
}

/// The failure of a script that cannot be read: names the file and its folder.
pub(crate) fn missing(path: &Path, error: &io::Error) -> RunError {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let folder_name = folder.display();
    RunError::failed(match error.kind() {
        ErrorKind::NotFound if !folder.is_dir() => {
            format!("script \"{name}\" not found: its folder {folder_name} does not exist")
        }
        ErrorKind::NotFound => {
            let remedy = likely_name(path).map_or_else(
                || "check the path: it is relative to the folder of the file that names it".to_owned(),
                |likely| format!("did you mean \"{likely}\"?"),
            );
            format!("script \"{name}\" not found in folder {folder_name}; {remedy}")
        }
        ErrorKind::PermissionDenied => {
            format!("script \"{name}\" in folder {folder_name} may not be read; allow it: chmod +r {}", path.display())
        }
        _ => format!("script \"{name}\" in folder {folder_name} cannot be read: {error}"),
    })
}
