//! The server behind TLS: what a client without it gets, new certificates, cookies bound to the host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dropstar::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::{Guarded, PASSWORD, guarded_with};
use crate::support::DEADLINE;

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn site(pair: &Pair, folder: &std::path::Path) -> Guarded {
    let tls = Tls { certificate: folder.join("c.pem"), key: folder.join("k.pem") };
    std::fs::write(&tls.certificate, &pair.certificate).unwrap();
    std::fs::write(&tls.key, &pair.key).unwrap();
    guarded_with(&[("pages/page.json", r#"{"answer": {"inside": 1}}"#)], |config| {
        config.tls = Some(tls);
        config.limits.header_timeout = Duration::from_secs(2);
    })
}

/// What a client that trusts only this certificate is answered.
async fn ask(address: SocketAddr, pair: &Pair, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Not every server says goodbye; what came is what counts.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_client_without_tls_gets_nothing_and_one_that_says_nothing_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let pair = pair();
    let site = site(&pair, folder.path());
    let mut plain = site.site.connect();
    plain.offer(get("/healthz"));
    assert!(!String::from_utf8_lossy(&plain.rest()).contains("HTTP/1.1 200"));
    let mut silent = site.site.connect();
    assert!(silent.is_closed(), "after the time for a head");
    let answer = site.site.runtime.block_on(ask(site.site.address(), &pair, &get("/healthz"))).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=2592000\r\n"), "{answer}");
}

#[test]
fn a_session_over_tls_is_bound_to_the_host_and_to_tls() {
    let folder = tempfile::tempdir().unwrap();
    let pair = pair();
    let site = site(&pair, folder.path());
    let (port, body) = (site.site.address().port(), format!("user=ann&password={}", PASSWORD.replace(' ', "+")));
    let post = |origin: &str| {
        let head =
            format!("POST /login HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: {origin}\r\nAccept: text/html\r\n");
        let kind = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n";
        let request = format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        site.site.runtime.block_on(ask(site.site.address(), &pair, &request)).unwrap()
    };
    let answer = post(&format!("https://localhost:{port}"));
    let name = format!("set-cookie: __Host-dropstar_{port}=");
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains(&name), "{answer}");
    assert!(answer.contains("; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"), "{answer}");
    let answer = post(&format!("http://localhost:{port}"));
    assert!(answer.starts_with("HTTP/1.1 403"), "a page that came without TLS: {answer}");
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pair(), pair());
    let site = site(&old, folder.path());
    let asked = |pair: &Pair| site.site.runtime.block_on(ask(site.site.address(), pair, &get("/healthz")));
    assert!(asked(&old).is_ok() && asked(&new).is_err());
    std::fs::write(folder.path().join("c.pem"), &new.certificate).unwrap();
    std::fs::write(folder.path().join("k.pem"), &new.key).unwrap();
    let deadline = std::time::Instant::now() + DEADLINE;
    while asked(&new).is_err() {
        assert!(std::time::Instant::now() < deadline, "the new certificate is never served");
    }
    assert!(asked(&old).is_err());
}
