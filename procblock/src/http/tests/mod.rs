//! The client against servers of every kind, good ones and bad ones, on loopback.

mod answers;
mod connections;
mod ends;
mod proxies;
mod redirects;
mod server;
mod tls;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use unidist::Stop;

use crate::http::{Answer, HttpClient, HttpError, Proxies, Request, read_request};

/// A client that goes nowhere else, whatever the environment says.
fn client() -> HttpClient {
    HttpClient::with_proxies(Proxies::all("", ""))
}

/// A request with options; 20 s unless they say another limit.
fn request(url: &str, options: &Value) -> Request {
    let mut options = options.as_object().cloned().unwrap_or_default();
    options.insert("url".into(), url.into());
    options.entry("timeout").or_insert(json!(20));
    read_request(&options, Path::new("/")).unwrap()
}

async fn send(url: &str, options: Value) -> Result<Answer, HttpError> {
    client().send(&request(url, &options), &Stop::new()).await
}

async fn get(url: &str) -> Result<Answer, HttpError> {
    send(url, json!({})).await
}

/// The failure that is to come.
async fn failure(url: &str, options: Value) -> HttpError {
    match send(url, options).await {
        Ok(answer) => panic!("{} was answered with {}", url, answer.status()),
        Err(error) => error,
    }
}

/// Ends a test that waits for what never comes.
async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap()
}
