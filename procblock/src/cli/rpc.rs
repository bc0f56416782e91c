//! `procblock rpc URL NAME k=v`: a procedure of a server, from the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use unidist::Stop;

use crate::cli::run::print;
use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::http::{HttpClient, HttpErrorKind};
use crate::logging::for_terminal;
use crate::rpc::Call;
use crate::value::{Map, Value};

/// A wait with a time limit ended.
const EXIT_TIMED_OUT: u8 = 124;

/// Arguments of `rpc`.
#[derive(Args, Debug)]
pub(super) struct RpcArgs {
    /// The address of the server, such as http://127.0.0.1:8686.
    url: String,
    /// The procedure's name.
    name: String,
    /// Its arguments; VALUE is JSON if it parses, else text.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// How long it may take.
    #[arg(long, default_value = "30s")]
    timeout: String,
    /// A file with the token that is shown to the server, instead of the variable PROCBLOCK_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Speak JSON-RPC 2.0; URL is then that of the service.
    #[arg(long)]
    json_rpc: bool,
}

pub(super) fn run(arguments: &RpcArgs) -> ExitCode {
    let refuse = |text: &str, code: u8| {
        eprintln!("error: {}", for_terminal(text));
        ExitCode::from(code)
    };
    let call = match arguments.call() {
        Ok(call) => call,
        Err(text) => return refuse(&text, EXIT_USAGE),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime could not start: {error}"), EXIT_FAILED),
    };
    match runtime.block_on(async { call.send(&HttpClient::default(), &Stop::new()).await }) {
        Ok(reply) => {
            print(&format!("{:#}\n", Value::Object(reply)));
            ExitCode::from(EXIT_DONE)
        }
        Err(error) => {
            let code = if error.kind == HttpErrorKind::TimedOut { EXIT_TIMED_OUT } else { EXIT_FAILED };
            refuse(&error.text, code)
        }
    }
}

impl RpcArgs {
    fn call(&self) -> Result<Call, String> {
        let mut given = Map::new();
        for pair in &self.arguments {
            let (name, value) = pair
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("\"{pair}\" is no argument; expected NAME=VALUE"))?;
            given.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
        }
        let mut options = Map::new();
        options.insert("timeout".into(), self.timeout.clone().into());
        options.insert("json rpc".into(), self.json_rpc.into());
        if let Some(token) = self.token()? {
            options.insert("token".into(), token.into());
        }
        Call::read(&self.url, &self.name, &given, &options, Path::new("."))
    }

    fn token(&self) -> Result<Option<String>, String> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
            None => std::env::var("PROCBLOCK_TOKEN").unwrap_or_default(),
        };
        Ok(Some(token.trim().to_string()).filter(|token| !token.is_empty()))
    }
}
