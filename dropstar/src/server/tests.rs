//! A walk over every route: nothing is given to who is not known, and every answer carries the headers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use unidist::{Unidist, VirtualClock};

use super::handle::{Opened, handle};
use super::serving::{Serving, Surroundings};
use super::*;
use crate::answer::AnswerBody;
use crate::live::events::Hub;
use crate::live::graph::Pictures;
use crate::request::{Ends, RequestHead};
use crate::site::{Moment, Own, Route};
use crate::users::{Scope, UsersFile};
use crate::{
    Answer, BoxFuture, Declaration, Failure, FailureKind, Graph, LoadFailure, Loaded, Map, Package, Program, Purpose,
    Site, SiteContent, Value,
};

/// What must not be seen.
const INSIDE: &str = "what only those who may see it see";

const LOCAL: &str = "127.0.0.1:8686";

/// Files are pages and procedures that answer what is inside; `broken` ones do not load, `read` ones are read only.
struct Plain;

impl crate::Loader for Plain {
    fn endings(&self) -> &[&str] {
        &["txt"]
    }

    fn load(&self, file: &Path, _purpose: Purpose) -> Result<(Loaded, Vec<PathBuf>), LoadFailure> {
        let files = vec![file.to_path_buf()];
        let stem = file.file_stem().unwrap_or_default();
        if stem == "broken" {
            return Err(LoadFailure { text: INSIDE.into(), files });
        }
        let declaration = Arc::new(Declaration { is_read_only: stem == "read", ..Declaration::default() });
        Ok((Loaded { declaration, program: Some(Arc::new(Plain)), template: None }, files))
    }

    fn load_package(&self, _file: &Path) -> Result<(Package, Vec<PathBuf>), LoadFailure> {
        Ok((Package::default(), Vec::new()))
    }
}

impl Program for Plain {
    fn run<'a>(&'a self, _request: &'a crate::Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        let values = Map::from_iter([("inside".to_string(), Value::from(INSIDE))]);
        Box::pin(async move { Ok(Answer { values }) })
    }
}

struct Nothing(Unidist);

impl Instance for Nothing {
    fn unidist(&self) -> &Unidist {
        &self.0
    }

    fn call<'a>(&'a self, _name: &'a str, _arguments: Map) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async { Ok(INSIDE.into()) })
    }

    fn draw<'a>(&'a self, _graph: &'a Graph) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async { Err(Failure { kind: FailureKind::Failed, text: INSIDE.into(), place: None }) })
    }

    fn follow(&self, _sink: crate::Sink) {}

    fn newest(&self, _kind: crate::EventKind, _name: &str) -> Option<Map> {
        None
    }
}

fn serving(folder: &Path) -> (Serving, String) {
    for path in ["pages/page", "pages/read", "pages/broken", "pages/sub/index", "rpc/call", "rpc/read", "static/file"] {
        let path = folder.join(path).with_extension("txt");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, INSIDE).unwrap();
    }
    std::fs::create_dir_all(folder.join("public")).unwrap();
    for name in ["open.css", "file.txt"] {
        std::fs::write(folder.join("public").join(name), "for everybody").unwrap();
    }
    let file = UsersFile::new(folder.join("users.json"));
    let made = file.change(|users| {
        users.add_user("ann", None, Scope::Admin)?;
        users.add_token("boss", Scope::Admin, std::time::Duration::ZERO, None)
    });
    let content = SiteContent::Folder(folder.to_path_buf());
    let site = Site { name: "site.example".into(), aliases: Vec::new(), content };
    let config = ServeConfig { users: Some(file.path().into()), ..ServeConfig::new(vec![site]) };
    let surroundings = Surroundings {
        loader: Arc::new(Plain),
        hub: Hub::new(nothing()),
        pictures: Arc::new(Pictures::new()),
        traffic: Arc::default(),
        instance: nothing(),
        static_files: Arc::new(StaticFiles::new()),
        memory: Arc::new(Memory::new(Arc::new(VirtualClock::new())).unwrap()),
        is_ending: Arc::default(),
    };
    (Serving::new(config, &surroundings).unwrap(), made.unwrap())
}

fn nothing() -> Arc<dyn Instance> {
    Arc::new(Nothing(Unidist::open("memory:").unwrap()))
}

fn ends() -> Ends {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Ends { peer: address("127.0.0.1:5000"), local: address(LOCAL), is_tls: false }
}

/// The kind of a route; a new one must be added here and to the walk.
fn kind(route: &Route) -> &'static str {
    match route {
        Route::Page(_) => "page",
        Route::Procedure(_) => "procedure",
        Route::Broken(_) => "broken",
        Route::Static(_) => "static",
        Route::Public(_) => "public",
        Route::Folder(_) => "folder",
        Route::Own(_) => "own",
        Route::Missing => "missing",
    }
}

/// Paths that want no log-in.
const OPEN: &[&str] = &["/healthz", "/login", "/dropstar.js", "/dropstar-charts.js", "/open.css"];

/// Paths that lead to every kind of route, with the host.
fn walk() -> Vec<(&'static str, &'static str)> {
    let here = [
        "/page",
        "/read",
        "/broken",
        "/sub",
        "/sub/",
        "/rpc/call",
        "/rpc/read",
        "/file.txt",
        "/open.css",
        "/none",
        "/rpc/none",
        "/status",
        "/status/locks",
        "/status/state/bucket",
        "/graph/cpu.png",
        "/series/cpu.json",
    ];
    let own = Own::ALL.iter().map(|(path, _)| *path);
    let mut walk: Vec<_> = here.into_iter().chain(own).map(|path| ("localhost", path)).collect();
    walk.extend([("evil.example", "/page"), ("evil.example", "/healthz"), ("evil.example", "/login")]);
    walk
}

async fn ask(serving: &Serving, method: &Method, at: (&str, &str), headers: &[(&str, &str)]) -> Response<AnswerBody> {
    let mut request = Request::builder().method(method).uri(at.1).header("host", at.0);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    handle(serving, Opened::new(serving, request, (ends(), Moment::now()))).await
}

fn methods() -> Vec<Method> {
    let more = [Method::OPTIONS, Method::PATCH, Method::TRACE, Method::from_bytes(b"PURGE").unwrap()];
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE].into_iter().chain(more).collect()
}

#[tokio::test]
async fn the_walk_comes_to_every_kind_of_route() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, _) = serving(folder.path());
    let mut seen = BTreeSet::new();
    for (host, path) in walk() {
        let parts = Request::get(path).header("host", host).body(()).unwrap().into_parts().0;
        seen.insert(kind(&serving.sites.route(&RequestHead::new(parts, (ends(), Moment::now()), "").unwrap()).await));
    }
    let all = ["broken", "folder", "missing", "own", "page", "procedure", "public", "static"];
    assert_eq!(seen, BTreeSet::from(all));
}

#[tokio::test]
async fn unauthenticated_access_to_each_route_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, _) = serving(folder.path());
    let strangers: [&[(&str, &str)]; 5] = [
        &[],
        &[("accept", "text/html")],
        &[("cookie", "dropstar_8686=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), ("origin", "http://localhost")],
        &[("authorization", "Bearer pbt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
        &[("x-forwarded-for", "127.0.0.1"), ("x-remote-user", "ann"), ("x-original-url", "/healthz")],
    ];
    for at in walk() {
        for method in methods() {
            for headers in strangers {
                let answer = ask(&serving, &method, at, headers).await;
                let status = answer.status().as_u16();
                let is_open = at.0 == "localhost" && OPEN.contains(&at.1);
                let is_sent_to_log_in =
                    status == 303 && answer.headers()["location"].to_str().unwrap().contains("/login?to=");
                let is_refused = matches!(status, 401 | 403 | 421) || is_sent_to_log_in;
                assert!(is_open || is_refused, "{method} {at:?} {headers:?}: {status}");
                assert!(!(is_open && is_refused && method == Method::GET), "{at:?} {headers:?}: {status}");
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(!String::from_utf8_lossy(&body).contains(INSIDE), "{method} {at:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_a_browser_safe() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, token) = serving(folder.path());
    let bearer = format!("Bearer {token}");
    let visitors: [&[(&str, &str)]; 3] = [&[], &[("authorization", &bearer)], &[("accept", "text/html")]];
    for at in walk().into_iter().chain([("", "/page"), ("localhost", "/%00")]) {
        for method in methods() {
            for headers in visitors {
                let answer = ask(&serving, &method, at, headers).await;
                let headers = answer.headers();
                assert_eq!(headers["x-content-type-options"], "nosniff", "{method} {at:?}");
                assert_eq!(headers["referrer-policy"], "same-origin", "{method} {at:?}");
                assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{method} {at:?}");
                let policy = headers["content-security-policy"].to_str().unwrap();
                assert!(policy.contains("frame-ancestors '"), "{method} {at:?}: {policy}");
                assert!(
                    !policy.contains("unsafe-inline") || headers["content-type"].to_str().unwrap().contains("html")
                );
            }
        }
    }
}

#[tokio::test]
async fn who_is_known_gets_in_where_strangers_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, token) = serving(folder.path());
    let bearer = format!("Bearer {token}");
    for (path, method, status) in [
        ("/page", Method::GET, 200),
        ("/page", Method::POST, 200),
        ("/rpc/call", Method::POST, 200),
        ("/rpc/read", Method::GET, 200),
        ("/file.txt", Method::GET, 200),
        ("/open.css", Method::GET, 200),
        ("/status/locks", Method::GET, 200),
        ("/none", Method::GET, 404),
        ("/broken", Method::GET, 500),
        ("/version", Method::GET, 200),
    ] {
        let answer = ask(&serving, &method, ("localhost", path), &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), status, "{path}");
    }
}
