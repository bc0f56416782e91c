//! Which modules a script may use.

/// The modules beside those that every script has: json, log, random, time, timeseries and unidist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// `process`: child processes.
    pub process: bool,
    /// `http`: requests to others.
    pub http: bool,
    /// `file`: files of the machine.
    pub file: bool,
    /// `rpc`: calls to other instances.
    pub rpc: bool,
}

impl Allow {
    /// All: what scripts of block files may.
    pub const ALL: Allow = Allow { process: true, http: true, file: true, rpc: true };

    /// None of them: what pages and RPCs may unless they say `allow:`.
    pub const PAGE: Allow = Allow { process: false, http: false, file: false, rpc: false };

    /// The same with one module more.
    ///
    /// # Errors
    /// When the name is no module that can be allowed.
    pub fn with(mut self, module: &str) -> Result<Allow, String> {
        match module {
            "process" => self.process = true,
            "http" => self.http = true,
            "file" => self.file = true,
            "rpc" => self.rpc = true,
            other => return Err(format!("unknown module {other:?}; expected process, http, file or rpc")),
        }
        Ok(self)
    }

    /// Whether the function `module.name` may be called; the text says how to allow it.
    pub(crate) fn check(self, function: &str) -> Result<(), String> {
        let module = function.split('.').next().unwrap_or_default();
        let is_allowed = match module {
            "process" => self.process,
            "http" => self.http,
            "file" => self.file,
            "rpc" => self.rpc,
            _ => true,
        };
        if is_allowed {
            return Ok(());
        }
        Err(format!("{function} is not allowed here; add \"allow: [{module}]\" to the page or RPC"))
    }
}
