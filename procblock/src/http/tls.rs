//! Encryption, and whose certificates are believed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::connector::{ConnectFailure, io_text};
use super::request::Trust;

/// The most that a file of certificates may hold, in bytes.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// Encrypts connections; reads the certificates at the first one.
pub(super) struct Tls {
    trust: Trust,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(trust: Trust) -> Self {
        Tls { trust, config: OnceCell::new() }
    }

    /// Shakes hands with the server called `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, ConnectFailure> {
        let config = self.config.get_or_try_init(|| self.read()).await?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_string());
        let name = name.map_err(|_| ConnectFailure::new(format!("{host} is no name that a certificate can have")))?;
        let shaken = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        shaken.map_err(|error| self.refusal(host, &error))
    }

    async fn read(&self) -> Result<Arc<ClientConfig>, ConnectFailure> {
        let trust = self.trust.clone();
        let read = tokio::task::spawn_blocking(move || config(&trust)).await;
        read.map_err(|error| ConnectFailure::new(error.to_string()))?.map(Arc::new)
    }

    /// Why the handshake failed, and what to do.
    fn refusal(&self, host: &str, error: &io::Error) -> ConnectFailure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let Some(Error::InvalidCertificate(reason)) = inner else {
            let text = inner.map_or_else(|| io_text(error), |inner| inner.to_string());
            return ConnectFailure::new(format!("no encrypted connection with {host}: {text}"));
        };
        let whom = match &self.trust {
            Trust::File(path) => format!("an authority of {}", path.display()),
            _ => "an authority that this machine trusts".into(),
        };
        ConnectFailure::new(match reason {
            reason if is_self_signed(reason) || *reason == CertificateError::UnknownIssuer => format!(
                "the certificate of {host} is not signed by {whom}; name its authority with ca file, \
                 or say verify: false"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not one of {host}")
            }
            other => format!("the certificate of {host} is not accepted: {other}"),
        })
    }
}

/// Whether a certificate that nobody knows says of itself that it is an authority: openssl's self-signed ones do. The
/// error's own type is not to be had through rustls.
fn is_self_signed(reason: &CertificateError) -> bool {
    matches!(reason, CertificateError::Other(error) if error.0.to_string() == "CaUsedAsEndEntity")
}

/// Reads certificates: blocks for milliseconds.
fn config(trust: &Trust) -> Result<ClientConfig, ConnectFailure> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ConnectFailure::new(error.to_string()))?;
    let mut config = match trust {
        Trust::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
        Trust::File(path) => {
            let verifier = Arc::new(Listed::read(path, &provider)?);
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
        Trust::Anyone => {
            let verifier = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn system_roots() -> Result<RootCertStore, ConnectFailure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text = "this machine has no certificates of authorities; install ca-certificates, or name a ca file";
        return Err(ConnectFailure::new(text));
    }
    Ok(roots)
}

/// Believes authorities of a file, and the file's own certificates: a self-signed one of openssl's making says of itself that
/// it is an authority, which no server's certificate may say elsewhere.
#[derive(Debug)]
struct Listed {
    authorities: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Listed {
    fn read(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, ConnectFailure> {
        let failed = |what: String| ConnectFailure::new(format!("the ca file {}: {what}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| failed(io_text(&error)))?.len();
        if size > FILE_MAX {
            return Err(failed("is larger than 4 MiB".into()));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(io_text(&error)))?;
        let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| failed(format!("is no PEM file: {error}")))?;
        if certificates.is_empty() {
            return Err(failed("holds no certificate; expected PEM, with BEGIN CERTIFICATE".into()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|error| failed(format!("holds a certificate that is not accepted: {error}")))?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
        let authorities = authorities.map_err(|error| failed(error.to_string()))?;
        Ok(Listed { authorities, certificates })
    }
}

impl ServerCertVerifier for Listed {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities.verify_server_cert(certificate, others, name, stapled, now);
        match verified {
            // What is wrong with such a certificate is found after its time is checked and before its name is.
            Err(Error::InvalidCertificate(reason))
                if is_self_signed(&reason) && self.certificates.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Believes every certificate, for `verify: false`; still checks that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
