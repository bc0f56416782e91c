//! Engine URLs: which store `Unidist::open` opens.

use crate::error::Error;

/// A parsed engine URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EngineUrl {
    /// `memory:`: inside this process.
    Memory,
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
        "file" | "node" | "etcd" => refuse(format!("this build has no {scheme}: engine; write memory:")),
        _ => refuse(format!("there is no scheme {scheme:?}; write memory:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_opens_and_every_refusal_says_what_to_write() {
        assert_eq!(parse("memory:").unwrap(), EngineUrl::Memory);
        for url in ["", "memory", "memory:x", "file:/tmp/x", "node:unix:/x", "etcd://h/p", "redis://h", "Memory:"] {
            let text = parse(url).unwrap_err().to_string();
            assert!(text.contains("memory:"), "{url}: {text}");
        }
    }
}
