//! Any bytes as what a client sends: the server answers in HTTP or closes, and never panics.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dropstar::{
    Answer, BoxFuture, Declaration, EventKind, Failure, FailureKind, Graph, Instance, LoadFailure, Loaded, Loader, Map,
    Package, Program, Purpose, Request, ServeConfig, Server, Sink, Site, SiteContent, Value,
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use unidist::Unidist;

/// Pages and procedures that answer what they were given.
struct Echo;

impl Loader for Echo {
    fn endings(&self) -> &[&str] {
        &["txt"]
    }

    fn load(&self, file: &Path, _purpose: Purpose) -> Result<(Loaded, Vec<PathBuf>), LoadFailure> {
        let declaration = Arc::new(Declaration::default());
        Ok((Loaded { declaration, program: Some(Arc::new(Echo)), template: None }, vec![file.to_path_buf()]))
    }

    fn load_package(&self, _file: &Path) -> Result<(Package, Vec<PathBuf>), LoadFailure> {
        Ok((Package::default(), Vec::new()))
    }
}

impl Program for Echo {
    fn run<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        let given = Value::Object(Map::clone(&request.arguments));
        let values = Map::from_iter([("given".to_string(), given), ("state".into(), request.state.to_map().into())]);
        Box::pin(async move { Ok(Answer { values }) })
    }
}

struct Nothing(Unidist);

impl Instance for Nothing {
    fn unidist(&self) -> &Unidist {
        &self.0
    }

    fn call<'a>(&'a self, name: &'a str, _arguments: Map) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { Err(Failure { kind: FailureKind::Missing, text: name.into(), place: None }) })
    }

    fn draw<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move { Err(Failure { kind: FailureKind::Missing, text: graph.series.clone(), place: None }) })
    }

    fn follow(&self, _sink: Sink) {}

    fn newest(&self, _kind: EventKind, _name: &str) -> Option<Map> {
        None
    }
}

/// One server for all inputs.
static SERVER: LazyLock<(Runtime, Server, SocketAddr)> = LazyLock::new(|| {
    // A panic of a request is answered 500, which would hide it here.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    let folder = std::env::temp_dir().join(format!("dropstar-fuzz-{}", std::process::id()));
    for path in ["pages/a.txt", "rpc/b.txt", "static/c.txt"] {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, "x").expect("a file");
    }
    let content = SiteContent::Folder(folder);
    let mut config = ServeConfig::new(vec![Site { name: "a".into(), aliases: Vec::new(), content }]);
    config.listen.set_port(0);
    config.limits.header_timeout = Duration::from_secs(1);
    config.limits.body_timeout = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let instance = Arc::new(Nothing(Unidist::open("memory:").expect("a store")));
    let server = runtime.block_on(Server::start(vec![config], Arc::new(Echo), instance)).expect("a server");
    let address = server.addresses()[0];
    (runtime, server, address)
});

fuzz_target!(|bytes: &[u8]| {
    let mut stream = TcpStream::connect(SERVER.2).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    // The server may close before it was told everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
    assert!(!answer.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answer));
});
