//! The listeners of an instance: begun by its first `serve`, changed by a reload, ended with it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use dropstar::{ServeConfig, Server, StartError};

use crate::instance::Instance;
use crate::process::open_files;
use crate::serve::loader::PageLoader;
use crate::serve::program::Surroundings;
use crate::serve::shown::Shown;

/// What an instance serves. Each `serve` of its file has a place in the order in which they run.
#[derive(Default)]
pub struct Servers {
    state: tokio::sync::Mutex<State>,
    urls: parking_lot::Mutex<Vec<Url>>,
}

#[derive(Default)]
struct State {
    server: Option<Arc<Server>>,
    served: Vec<Vec<ServeConfig>>,
    /// How many `serve` the pass under way has met.
    met: usize,
    is_ended: bool,
}

/// Where a listener is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// For a browser on this machine.
    pub url: String,
    /// The command that brings a listener of this machine alone to another one.
    pub tunnel: Option<String>,
}

impl Url {
    fn of(config: &ServeConfig, address: SocketAddr, node: &str) -> Self {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let ip = address.ip().to_canonical();
        let host = match ip {
            ip if ip.is_unspecified() => node.to_string(),
            ip if ip.is_ipv6() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let port = address.port();
        let tunnel = ip.is_loopback().then(|| format!("ssh -L {port}:{host}:{port} {node}"));
        Url { url: format!("{scheme}://{host}:{port}{}/", config.prefix), tunnel }
    }
}

impl Servers {
    /// Serves what one `serve` says, beside what others do. The first starts the server; later passes change it, and
    /// listeners whose address stays go on.
    ///
    /// # Errors
    /// An address can't be listened on or a site can't be served. Then what was served before goes on.
    pub async fn serve(&self, configs: Vec<ServeConfig>, surroundings: Surroundings) -> Result<Vec<Url>, StartError> {
        let mut state = self.state.lock().await;
        if state.is_ended {
            return Ok(Vec::new());
        }
        let mut served = state.served.clone();
        let place = state.met;
        let before: usize = served.iter().take(place).map(Vec::len).sum();
        let count = configs.len();
        match served.get_mut(place) {
            Some(earlier) => *earlier = configs,
            None => served.push(configs),
        }
        let instance = Arc::clone(&surroundings.instance);
        let all = served.concat();
        let server = match &state.server {
            Some(server) => {
                server.replace(all.clone()).await?;
                Arc::clone(server)
            }
            None => {
                open_files::raise();
                let shown = Shown::new(Arc::clone(&instance), surroundings.outputs().to_path_buf());
                let loader = PageLoader::new(surroundings);
                Arc::new(Server::start(all.clone(), Arc::new(loader), Arc::new(shown)).await?)
            }
        };
        let urls = Self::urls_of(&all, &server, &instance);
        let own = urls.iter().skip(before).take(count).cloned().collect();
        *self.urls.lock() = urls;
        state.server = Some(server);
        state.served = served;
        state.met += 1;
        Ok(own)
    }

    fn urls_of(configs: &[ServeConfig], server: &Server, instance: &Instance) -> Vec<Url> {
        let addresses = server.addresses();
        configs.iter().zip(addresses).map(|(config, address)| Url::of(config, address, &instance.node)).collect()
    }

    /// Begins a pass over the file: no `serve` was met yet.
    pub async fn begin_pass(&self) {
        self.state.lock().await.met = 0;
    }

    /// Ends what no `serve` of the pass says any more.
    ///
    /// # Errors
    /// What is left can't be served; then everything goes on.
    pub async fn end_unmet(&self, instance: &Instance) -> Result<(), StartError> {
        let mut state = self.state.lock().await;
        let met = state.met;
        if met >= state.served.len() {
            return Ok(());
        }
        let Some(server) = state.server.clone() else { return Ok(()) };
        let left: Vec<Vec<ServeConfig>> = state.served.iter().take(met).cloned().collect();
        let all = left.concat();
        server.replace(all.clone()).await?;
        *self.urls.lock() = Self::urls_of(&all, &server, instance);
        state.served = left;
        Ok(())
    }

    /// All that is served.
    pub async fn configs(&self) -> Vec<ServeConfig> {
        self.state.lock().await.served.concat()
    }

    /// Where everything is reached.
    pub fn urls(&self) -> Vec<Url> {
        self.urls.lock().clone()
    }

    /// Closes the listeners, and lets requests under way end within their grace.
    pub async fn end(&self) {
        let server = {
            let mut state = self.state.lock().await;
            state.is_ended = true;
            state.server.take()
        };
        if let Some(server) = server {
            server.end().await;
        }
    }
}

/// Lines for a person: each URL, and how to reach it from elsewhere.
pub fn banner(urls: &[Url]) -> String {
    let mut text = String::new();
    for url in urls {
        let _ = writeln!(text, "  pages      {}", url.url);
        if let Some(tunnel) = &url.tunnel {
            let _ = writeln!(text, "    from another machine: {tunnel}");
        }
    }
    text
}
