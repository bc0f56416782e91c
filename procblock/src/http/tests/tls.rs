//! Encrypted connections: whose certificates are believed, and HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use unidist::Stop;

use super::{client, failure, in_time, request, send};
use crate::http::HttpErrorKind;

/// A server with a certificate that it signed itself.
struct Encrypted {
    address: SocketAddr,
    folder: TempDir,
}

impl Encrypted {
    /// For the name `localhost` and these others.
    async fn start(change: impl FnOnce(&mut CertificateParams), protocols: &[&str]) -> Self {
        let mut params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
        Encrypted { address, folder }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// Answers with the version of HTTP that was spoken.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let body = if request.version() == Version::HTTP_2 { "two" } else { "one" };
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
            });
            let stream = TokioIo::new(stream);
            // How the other side ends is not this test's concern.
            if is_http2 {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(stream, service).await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
            }
        });
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused_with_the_remedy() {
    let server = Encrypted::start(|_| {}, &[]).await;
    let error = in_time(failure(&server.url(), json!({}))).await;
    assert_eq!(error.kind, HttpErrorKind::NotConnected);
    // A machine without any authorities says so instead; its remedy is the same.
    assert!(error.text.contains("ca file"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_the_file_is_believed_and_without_verifying_any() {
    let server = Encrypted::start(|_| {}, &[]).await;
    for options in [json!({"ca file": server.file()}), json!({"verify": false})] {
        assert_eq!(in_time(send(&server.url(), options)).await.unwrap().body, b"one");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_that_calls_itself_an_authority_is_believed_when_it_is_in_the_file() {
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (server, other) = (Encrypted::start(authority, &[]).await, Encrypted::start(authority, &[]).await);
    assert_eq!(in_time(send(&server.url(), json!({"ca file": server.file()}))).await.unwrap().body, b"one");
    let error = failure(&server.url(), json!({"ca file": other.file()})).await;
    assert!(error.text.contains("is not signed by an authority of"), "{error}");
    let url = format!("https://{}/", server.address);
    let error = failure(&url, json!({"ca file": server.file()})).await;
    assert!(error.text.contains("the certificate is not one of 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_or_time_is_refused() {
    let server = Encrypted::start(|_| {}, &[]).await;
    let error = failure(&format!("https://{}/", server.address), json!({"ca file": server.file()})).await;
    assert!(error.text.contains("the certificate is not one of 127.0.0.1"), "{error}");
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let expired = |params: &mut CertificateParams| {
            params.is_ca = is_ca;
            params.not_after = date_time_ymd(2020, 1, 1);
        };
        let server = Encrypted::start(expired, &[]).await;
        let error = failure(&server.url(), json!({"ca file": server.file()})).await;
        assert!(error.text.contains("has expired"), "{error}");
    }
}

#[tokio::test]
async fn a_changed_file_of_certificates_is_read_again() {
    let (first, second) = (Encrypted::start(|_| {}, &[]).await, Encrypted::start(|_| {}, &[]).await);
    let (client, stop) = (client(), Stop::new());
    let request = request(&second.url(), &json!({"ca file": first.file()}));
    assert!(client.send(&request, &stop).await.is_err());
    std::fs::copy(second.file(), first.file()).unwrap();
    assert_eq!(client.send(&request, &stop).await.unwrap().body, b"one");
}

#[tokio::test]
async fn a_file_that_holds_no_certificates_is_told() {
    let server = Encrypted::start(|_| {}, &[]).await;
    for (text, what) in [
        (Some(""), "holds no certificate"),
        (Some("hello"), "holds no certificate"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "not accepted"),
        (Some("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), "is no PEM file"),
        (None, "no such file or directory"),
    ] {
        let path = server.folder.path().join("other.pem");
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = failure(&server.url(), json!({"ca file": path})).await;
        assert!(error.text.contains("other.pem") && error.text.contains(what), "{text:?}: {error}");
    }
}

#[tokio::test]
async fn the_best_version_that_both_know_is_spoken() {
    for (protocols, spoken) in [(vec!["h2", "http/1.1"], "two"), (vec!["http/1.1"], "one"), (vec![], "one")] {
        let server = Encrypted::start(|_| {}, &protocols).await;
        let (client, stop) = (client(), Stop::new());
        let request = request(&server.url(), &json!({"verify": false, "headers": {"x-a": "b"}, "json": [1]}));
        for _ in 0..3 {
            let answer = in_time(client.send(&request, &stop)).await.unwrap();
            assert_eq!(answer.body, spoken.as_bytes(), "{protocols:?}");
        }
    }
}

#[tokio::test]
async fn what_speaks_no_tls_is_told() {
    // It answers in plain text, as web servers do.
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = plain.accept().unwrap();
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = in_time(failure(&format!("https://{address}/"), json!({"verify": false}))).await;
    assert!(error.text.contains("no encrypted connection with 127.0.0.1"), "{error}");
    answering.join().unwrap();
}
