//! Requests through a proxy.

use serde_json::{Value, json};
use unidist::Stop;

use super::request;
use super::server::{Server, answer, ok};
use crate::http::{HttpClient, HttpErrorKind, Proxies};

fn through(server: &Server, user: &str) -> HttpClient {
    HttpClient::with_proxies(Proxies::all(&format!("http://{user}{}", server.address), "excepted.example"))
}

#[tokio::test]
async fn a_plain_request_names_its_whole_url_to_the_proxy() {
    let proxy = Server::saying(ok("there"));
    let client = through(&proxy, "al:pw@");
    let request = request("http://host.example:8080/a?b=1", &json!({"token": "t0k"}));
    assert_eq!(client.send(&request, &Stop::new()).await.unwrap().body, b"there");
    let asked = &proxy.asked()[0];
    assert_eq!(asked.line, "GET http://host.example:8080/a?b=1 HTTP/1.1");
    assert_eq!(asked.header("host"), Some("host.example:8080"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic YWw6cHc="));
    assert_eq!(asked.header("authorization"), Some("Bearer t0k"));
}

#[tokio::test]
async fn a_local_server_is_reached_without_the_proxy() {
    let (proxy, server) = (Server::saying(ok("proxy")), Server::saying(ok("server")));
    let answer = through(&proxy, "").send(&request(&server.url("/"), &Value::Null), &Stop::new()).await.unwrap();
    assert_eq!((answer.body.as_slice(), proxy.connections()), (b"server".as_slice(), 0));
    assert_eq!(server.asked()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn an_encrypted_request_asks_for_a_tunnel_and_tells_a_refusal() {
    for (status, text) in [("407 Proxy Authentication Required", "authorization"), ("502 Bad Gateway", "unsuccessful")]
    {
        let proxy = Server::saying(answer(status, &[], b""));
        let client = through(&proxy, "al:secret@");
        let request = request("https://host.example/a?key=1", &json!({"token": "t0k"}));
        let error = client.send(&request, &Stop::new()).await.err().unwrap();
        assert_eq!(error.kind, HttpErrorKind::NotConnected);
        assert!(error.text.contains(&format!("the proxy {}: ", proxy.address)), "{error}");
        assert!(error.text.contains(text) && !error.text.contains("secret"), "{error}");
        let asked = &proxy.asked()[0];
        assert_eq!(asked.line, "CONNECT host.example:443 HTTP/1.1");
        assert!(asked.header("proxy-authorization").is_some() && asked.header("authorization").is_none());
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = HttpClient::with_proxies(Proxies::all(&format!("http://al:secret@{address}"), ""));
    let error = client.send(&request("http://host.example/", &Value::Null), &Stop::new()).await.err().unwrap();
    assert_eq!(error.text, format!("GET http://host.example/: the proxy {address}: connection refused"));
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_refused_by_name() {
    let client = HttpClient::with_proxies(Proxies::all("socks5://127.0.0.1:1080", ""));
    for url in ["http://host.example/", "https://host.example/"] {
        let error = client.send(&request(url, &Value::Null), &Stop::new()).await.err().unwrap();
        assert!(error.text.contains("only http:// proxies are known"), "{error}");
    }
}
