//! The site that is measured, and procblock serving it on the first core.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::load::Load;
use crate::Outcome;
use crate::program::{Staying, beside, memory};

/// The core of the servers.
pub(super) const CORE: &str = "0";

/// The rows of the page with a template: the same script text for both sides.
pub(super) const ROWS_LUA: &str = "local rows = {}
for number = 1, 20 do
  rows[number] = {name = 'disk <' .. number .. '> & more', used = number * 1000, state = number % 3 == 0 and 'full' or 'good'}
end
";

const TEMPLATE: &str = "<!doctype html>\n<title>Disks</title>\n<table>\n{% for row in rows %}<tr class=\"{{ row.state }}\"><td>{{ row.name }}</td><td>{{ row.used }}</td></tr>\n{% endfor %}</table>\n";

const FUNCTION: &str = "function ProcessBlock(pipe_data, block, request_state, input_data)\n";

const PYTHON: &str = "def ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent):\n    return {'hello': input_data['name']}\n";

/// Writes the site into a folder.
pub(super) fn write(folder: &Path) -> Outcome<()> {
    let site = folder.join("site");
    for name in ["pages", "templates", "rpc", "static"] {
        fs::create_dir_all(site.join(name))?;
    }
    fs::write(site.join("pages/json.lua"), format!("{FUNCTION}  return {{hello = input_data.name}}\nend\n"))?;
    let text = "return {output = 'hello ' .. input_data.name, ['content-type'] = 'text/plain; charset=utf-8'}";
    fs::write(site.join("pages/text.lua"), format!("{FUNCTION}  {text}\nend\n"))?;
    fs::write(site.join("pages/rows.lua"), format!("{FUNCTION}{ROWS_LUA}return {{rows = rows}}\nend\n"))?;
    fs::write(site.join("templates/rows.html"), TEMPLATE)?;
    fs::write(site.join("pages/python.py"), PYTHON)?;
    let press = "return {presses = unidist.sharedcounter.increment('presses')}";
    fs::write(site.join("rpc/press.lua"), format!("{FUNCTION}  {press}\nend\n"))?;
    fs::write(site.join("static/small.bin"), vec![b'x'; 1024])?;
    fs::write(site.join("static/large.bin"), vec![b'x'; 100 * 1024])?;
    Ok(())
}

/// procblock with the site.
pub(super) struct Served {
    port: u16,
    running: Staying,
}

impl Served {
    /// Starts it and asks for a page once.
    pub(super) fn start(folder: &Path) -> Outcome<Self> {
        let printed = folder.join("printed");
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(beside("procblock")?).args(["serve", "--port", "0"]).arg(folder.join("site"));
        command.env("XDG_RUNTIME_DIR", folder).env("XDG_STATE_HOME", folder);
        let errors = File::create(folder.join("errors"))?;
        command.stdin(Stdio::null()).stdout(File::create(&printed)?).stderr(errors);
        let mut running = Staying::start(&mut command)?;
        let port = running.wait_for("its URL", || port_in(&printed))?;
        Load::get("/json?name=world").once(port)?;
        Ok(Served { port, running })
    }

    /// From the start of the program to the end of its first answer, in seconds.
    pub(super) fn start_to_answer(folder: &Path) -> Outcome<f64> {
        let begun = Instant::now();
        let served = Served::start(folder)?;
        let took = begun.elapsed().as_secs_f64();
        served.running.interrupt()?;
        Ok(took)
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What it has in memory, in bytes.
    pub(super) fn memory(&self) -> Outcome<f64> {
        memory(self.pid(), "VmRSS")
    }
}

/// The port in the URL that a starting server prints.
fn port_in(printed: &PathBuf) -> Option<u16> {
    let text = fs::read_to_string(printed).ok()?;
    let (_, rest) = text.split_once("http://127.0.0.1:")?;
    rest.split_once('/')?.0.parse().ok()
}
