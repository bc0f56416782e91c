//! TLS, and HTTP/2 where the client wants it.

use std::sync::Arc;

use dropstar::{StartError, Tls};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{DEADLINE, Fixture, folder_config};

type Body = Empty<bytes::Bytes>;

fn site() -> (Fixture, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let files = [("c.pem", certificate.as_str()), ("k.pem", key.as_str()), ("templates/p.html", "page")];
    let site = Fixture::with(&files, |config, folder| {
        config.tls = Some(Tls { certificate: folder.join("c.pem"), key: folder.join("k.pem") });
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (site, TlsConnector::from(Arc::new(config)))
}

#[test]
fn http_2_is_spoken_and_its_requests_finish_at_the_end() {
    let (site, connector) = site();
    site.write("pages/waits.json", r#"{"wait": 1, "answer": {"n": 1}}"#);
    let (address, seen) = (site.address(), Arc::clone(&site.seen));
    let client = site.runtime.spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.unwrap();
        tokio::spawn(connection);
        let mut get = |path: &str| {
            let uri = format!("https://localhost:{}{path}", address.port());
            sender.send_request(hyper::Request::get(uri).body(Body::new()).unwrap())
        };
        let reply = get("/p").await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, hyper::Version::HTTP_2));
        assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), "page");
        let bytes = get("/waits").await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, r#"{"n":1}"#);
    });
    seen.until(|seen| &seen.waiting, 1);
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| site.end());
        seen.go_on.request();
        ending.join().unwrap();
    });
    let _runtime = site.runtime.enter();
    site.runtime.block_on(tokio::time::timeout(DEADLINE, client)).unwrap().unwrap();
}

#[test]
fn a_client_without_tls_and_one_that_does_not_shake_hands_are_closed() {
    let (site, _connector) = site();
    let mut plain = site.connect();
    plain.send("GET /p HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // It gets an alert, and no page.
    assert!(!plain.until_closed().windows(4).any(|bytes| bytes == b"page"));
}

#[test]
fn a_certificate_that_is_not_there_is_told() {
    let site = Fixture::new(&[]);
    let mut config = folder_config(site.folder.path());
    config.tls = Some(Tls { certificate: site.path("none.pem"), key: site.path("none.pem") });
    let error = site.runtime.block_on(site.server.replace(vec![config])).unwrap_err();
    assert!(matches!(error, StartError::Tls { .. }) && error.to_string().contains("none.pem can't be read"), "{error}");
    assert_eq!(site.get("/healthz").status, 200);
}
