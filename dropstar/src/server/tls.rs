//! TLS: certificate and key from PEM files, read again when they change. The only module that names rustls.
//!
//! A certificate that is renewed is served to the next connection. A new pair that is no good is told in the log, once,
//! and the old one goes on.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::Tls;

/// How long a change of the files may go unseen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Speaks TLS with clients. A clone is the same.
#[derive(Clone)]
pub(crate) struct TlsListener {
    acceptor: TlsAcceptor,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("tls: {what} {path} can't be read: {source}")]
    Read {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no PEM of its kind.
    #[error("tls: {what} {path} holds no {expected}{hint}")]
    Content {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What may be done about it.
        hint: &'static str,
    },
    /// The key is not the one that the certificate was made for.
    #[error("tls: the key {key} is not the one of the certificate {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The key is of a kind that is not known.
    #[error(
        "tls: the key {key} can't be used: {text}; expected RSA of 2,048 to 8,192 bits, ECDSA P-256 or P-384, or Ed25519"
    )]
    Key {
        /// The key's file.
        key: PathBuf,
        /// Why.
        text: String,
    },
    /// TLS itself can't be set up.
    #[error("tls: {0}")]
    Setup(String),
}

impl TlsListener {
    /// Reads certificate and key. `protocols` are offered by ALPN, the first one preferred: `h2`, `http/1.1`.
    ///
    /// # Errors
    /// A file can't be read, holds something else, or the key is another certificate's.
    pub(crate) fn new(tls: &Tls, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = Pair::new(tls.clone(), provider.clone())?;
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError::Setup(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(pair));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsListener { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Shakes hands. The caller bounds how long that may take.
    ///
    /// # Errors
    /// The client speaks no TLS, an older one, or is gone.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.acceptor.accept(stream).await
    }
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsListener")
    }
}

/// Whether a connection's client chose this protocol.
pub(crate) fn has_chosen<S>(stream: &TlsStream<S>, protocol: &[u8]) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(protocol)
}

/// The certificate that is served, and the files that it is from.
#[derive(Debug)]
struct Pair {
    files: Tls,
    provider: Arc<CryptoProvider>,
    served: Mutex<Served>,
}

#[derive(Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    stamps: Stamps,
    looked: Instant,
}

/// The versions of both files.
type Stamps = [Option<(u64, u64, u64, [i64; 4])>; 2];

impl Pair {
    fn new(files: Tls, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let key = Arc::new(load(&files, &provider)?);
        Ok(Pair { served: Mutex::new(Served { key, stamps, looked: Instant::now() }), files, provider })
    }

    /// What is served now. Looks at the files at most once a second; a handshake takes longer than reading them.
    fn current(&self, now: Instant) -> Arc<CertifiedKey> {
        let mut served = self.served.lock();
        if now.saturating_duration_since(served.looked) < LOOK_EVERY {
            return served.key.clone();
        }
        served.looked = now;
        let stamps = stamps(&self.files);
        if stamps != served.stamps {
            served.stamps = stamps;
            match load(&self.files, &self.provider) {
                Ok(key) => {
                    served.key = Arc::new(key);
                    log::info!("tls: certificate {} was read again", self.files.certificate.display());
                }
                Err(error) => log::warn!("{error}; the certificate from before goes on"),
            }
        }
        served.key.clone()
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current(Instant::now()))
    }
}

fn stamps(files: &Tls) -> Stamps {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        Some((metadata.dev(), metadata.ino(), metadata.len(), times))
    })
}

fn load(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = read("certificate", &files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::Content {
        what: "certificate",
        path: files.certificate.clone(),
        expected: "-----BEGIN CERTIFICATE-----",
        hint: "",
    })?;
    let text = read("key", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| no_key(&files.key, &text, &error))?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| TlsError::Key { key: files.key.clone(), text: error.to_string() })?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        // Keys whose public half can't be told are found out by the first client.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() })
        }
        Err(error) => Err(TlsError::Setup(format!("certificate {}: {error}", files.certificate.display()))),
    }
}

fn no_key(path: &Path, text: &[u8], _error: &pem::Error) -> TlsError {
    let is_encrypted = String::from_utf8_lossy(text).contains("ENCRYPTED");
    let hint =
        if is_encrypted { "; it is encrypted, and nobody is there to ask: openssl pkey -in FILE -out NEW" } else { "" };
    TlsError::Content { what: "key", path: path.into(), expected: "-----BEGIN PRIVATE KEY-----", hint }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        tls: Tls,
        _folder: tempfile::TempDir,
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
        let files = Files { tls, _folder: folder };
        files.write(&pair());
        files
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    impl Files {
        fn write(&self, (certificate, key): &(String, String)) {
            std::fs::write(&self.tls.certificate, certificate).unwrap();
            std::fs::write(&self.tls.key, key).unwrap();
        }
    }

    fn pair_of(files: &Files) -> Result<Pair, TlsError> {
        Pair::new(files.tls.clone(), Arc::new(ring::default_provider()))
    }

    #[test]
    fn a_new_certificate_is_served_and_a_bad_one_is_not() {
        let files = files();
        let pair_now = pair_of(&files).unwrap();
        let mut now = Instant::now();
        let mut later = || {
            now += LOOK_EVERY;
            now
        };
        let first = pair_now.current(later());
        let second = pair();
        files.write(&second);
        let served = pair_now.current(later());
        assert_ne!(served.cert, first.cert);
        for bad in [(pair().0, second.1.clone()), ("x".into(), second.1.clone()), (second.0.clone(), String::new())] {
            files.write(&bad);
            assert_eq!(pair_now.current(later()).cert, served.cert);
        }
        std::fs::remove_file(&files.tls.key).unwrap();
        assert_eq!(pair_now.current(later()).cert, served.cert);
        files.write(&pair());
        assert_ne!(pair_now.current(later()).cert, served.cert);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told_with_their_names() {
        let files = files();
        let told = || pair_of(&files).unwrap_err().to_string();
        let good = pair();
        files.write(&(good.1.clone(), good.1.clone()));
        assert!(
            told().contains("certificate ") && told().contains("c.pem holds no -----BEGIN CERTIFICATE-----"),
            "{}",
            told()
        );
        files.write(&(good.0.clone(), good.0.clone()));
        assert!(told().contains("k.pem holds no -----BEGIN PRIVATE KEY-----"), "{}", told());
        files.write(&(good.0.clone(), good.1.replace("PRIVATE", "ENCRYPTED PRIVATE")));
        assert!(told().contains("it is encrypted"), "{}", told());
        files.write(&(good.0.clone(), pair().1));
        assert!(told().contains("k.pem is not the one of the certificate"), "{}", told());
        std::fs::remove_file(&files.tls.certificate).unwrap();
        assert!(told().contains("certificate ") && told().contains("can't be read"), "{}", told());
    }
}
