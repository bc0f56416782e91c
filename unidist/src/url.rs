//! Engine URLs: which store `Unidist::open` opens.

use crate::error::Error;

/// A parsed engine URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EngineUrl {
    /// `memory:`: inside this process.
    Memory,
    /// `node:unix:SOCKET`.
    #[cfg(feature = "node")]
    Socket(std::path::PathBuf),
    /// `file:FOLDER`, `file:FOLDER?sync=interval`.
    #[cfg(feature = "file")]
    File { folder: std::path::PathBuf, sync: crate::engine::file::Sync },
}

/// Reads an engine URL; a scheme that this build does not have is an error that names those it has.
pub(crate) fn parse(url: &str) -> Result<EngineUrl, Error> {
    let refuse = |reason: String| Err(Error::Url { url: url.to_owned(), reason });
    let Some((scheme, rest)) = url.split_once(':') else {
        return refuse("a scheme and a colon are missing; write memory:".to_owned());
    };
    match scheme {
        "memory" if rest.is_empty() => Ok(EngineUrl::Memory),
        "memory" => refuse(format!("memory: takes nothing after the colon, found {rest:?}")),
        #[cfg(feature = "file")]
        "file" => parse_file(rest).or_else(refuse),
        #[cfg(not(feature = "file"))]
        "file" => refuse("this build has no file: engine; write memory:, or build it with the feature file".to_owned()),
        #[cfg(feature = "node")]
        "node" => match rest.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(EngineUrl::Socket(path.into())),
            Some(_) => refuse("the socket is missing; write node:unix:/PATH".to_owned()),
            None => refuse("only sockets of this machine can be reached; write node:unix:/PATH".to_owned()),
        },
        #[cfg(not(feature = "node"))]
        "node" => refuse("this build has no node: engine; write memory:, or build it with the feature node".to_owned()),
        "etcd" => refuse(format!("this build has no {scheme}: engine; write memory:")),
        _ => refuse(format!("there is no scheme {scheme:?}; write memory:")),
    }
}

#[cfg(feature = "file")]
fn parse_file(rest: &str) -> Result<EngineUrl, String> {
    use crate::engine::file::Sync;
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let sync = match query {
        None | Some("sync=always") => Sync::Always,
        Some("sync=interval") => Sync::Interval,
        Some(other) => return Err(format!("there is no option {other:?}; write ?sync=interval or ?sync=always")),
    };
    let folder = match path.strip_prefix("//") {
        None => path,
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err("a store is on this machine; write file:FOLDER or file:///FOLDER".to_owned()),
    };
    if folder.is_empty() {
        return Err("the folder is missing; write file:FOLDER".to_owned());
    }
    Ok(EngineUrl::File { folder: folder.into(), sync })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_opens_and_every_refusal_says_what_to_write() {
        assert_eq!(parse("memory:").unwrap(), EngineUrl::Memory);
        for url in ["", "memory", "memory:x", "etcd://h/p", "redis://h", "Memory:"] {
            let text = parse(url).unwrap_err().to_string();
            assert!(text.contains("memory:"), "{url}: {text}");
        }
    }

    #[cfg(feature = "node")]
    #[test]
    fn a_socket_is_a_path() {
        assert_eq!(parse("node:unix:/a b").unwrap(), EngineUrl::Socket("/a b".into()));
        for url in ["node:", "node:unix:", "node:https://h", "node:/x"] {
            assert!(parse(url).unwrap_err().to_string().contains("node:unix:"), "{url}");
        }
    }

    #[cfg(not(feature = "file"))]
    #[test]
    fn a_build_without_the_file_engine_says_so() {
        assert!(parse("file:x").unwrap_err().to_string().contains("no file: engine"));
    }

    #[cfg(feature = "file")]
    #[test]
    fn a_folder_is_a_path_with_or_without_slashes_and_one_option() {
        use crate::engine::file::Sync;
        let file = |folder: &str, sync| EngineUrl::File { folder: folder.into(), sync };
        assert_eq!(parse("file:a/b").unwrap(), file("a/b", Sync::Always));
        assert_eq!(parse("file:/a b").unwrap(), file("/a b", Sync::Always));
        assert_eq!(parse("file:///a?sync=interval").unwrap(), file("/a", Sync::Interval));
        for url in ["file:", "file:?sync=interval", "file://host/a", "file:a?sync=never", "file:a?"] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
