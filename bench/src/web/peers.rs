//! nginx with its Lua module, and lighttpd with CGI: each with a configuration, folder and port of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::site::{CORE, ROWS_LUA};
use crate::Outcome;
use crate::program::Staying;

/// Text for a page, with the characters escaped that are in the rows and more.
const ESCAPE: &str = r#"local signs = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#x27;"}
function escape(text) return (tostring(text):gsub("[&<>\"']", signs)) end
"#;

/// What nginx answers; lengths are told, as ours are, instead of chunks.
const NGINX: &str = r#"
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
master_process off;
worker_processes 1;
pid FOLDER/nginx.pid;
error_log FOLDER/nginx.log warn;
events { worker_connections 4096; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  lua_shared_dict counters 1m;
  init_by_lua_block {
    cjson = require "cjson"
    ESCAPE
    function answer(kind, text)
      ngx.header["Content-Type"] = kind
      ngx.header["Content-Length"] = #text
      ngx.print(text)
    end
  }
  server {
    listen 127.0.0.1:PORT;
    root FOLDER/site/static;
    location = /json { content_by_lua_block {
      answer("application/json", cjson.encode({hello = ngx.req.get_uri_args().name}))
    } }
    location = /text { content_by_lua_block {
      answer("text/plain; charset=utf-8", "hello " .. ngx.req.get_uri_args().name)
    } }
    location = /rows { content_by_lua_block {
      ROWS
      local parts = {"<!doctype html>\n<title>Disks</title>\n<table>\n"}
      for _, row in ipairs(rows) do
        parts[#parts + 1] = '<tr class="' .. escape(row.state) .. '"><td>' .. escape(row.name)
          .. "</td><td>" .. escape(row.used) .. "</td></tr>\n"
      end
      parts[#parts + 1] = "</table>"
      answer("text/html; charset=utf-8", table.concat(parts))
    } }
    location = /rpc/press { content_by_lua_block {
      answer("application/json", cjson.encode({presses = ngx.shared.counters:incr("presses", 1, 0)}))
    } }
  }
}
"#;

const LIGHTTPD: &str = r#"
server.modules = ("mod_alias", "mod_cgi")
server.document-root = "FOLDER/site/static"
server.bind = "127.0.0.1"
server.port = PORT
server.errorlog = "FOLDER/lighttpd.log"
server.max-keep-alive-requests = 0
alias.url = ("/python" => "FOLDER/python.cgi")
cgi.assign = (".cgi" => "")
"#;

const PYTHON: &str = r#"#!/usr/bin/python3
import json
import os
import sys
import urllib.parse

arguments = urllib.parse.parse_qs(os.environ['QUERY_STRING'])
text = json.dumps({'hello': arguments['name'][0]}, separators=(',', ':'))
sys.stdout.write('Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' % (len(text), text))
"#;

/// A server that runs until this is dropped.
pub(super) struct Peer {
    port: u16,
    _running: Staying,
}

impl Peer {
    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn start(folder: &Path, configuration: &str, name: &str, words: &[&str]) -> Outcome<Self> {
        let port = free_port()?;
        let file = folder.join(name).with_extension("conf");
        let place = folder.display().to_string();
        let text = configuration.replace("ESCAPE", ESCAPE).replace("ROWS", ROWS_LUA);
        fs::write(&file, text.replace("FOLDER", &place).replace("PORT", &port.to_string()))?;
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).args(words).arg(&file).current_dir(folder);
        let mut running = Staying::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        running.wait_for(name, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())?;
        Ok(Peer { port, _running: running })
    }
}

/// nginx: one process, as one worker.
pub(super) fn nginx(folder: &Path) -> Outcome<Peer> {
    Peer::start(folder, NGINX, "nginx", &["/usr/sbin/nginx", "-c"])
}

/// lighttpd, which starts the script for each request.
pub(super) fn lighttpd(folder: &Path) -> Outcome<Peer> {
    let script = folder.join("python.cgi");
    fs::write(&script, PYTHON)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Peer::start(folder, LIGHTTPD, "lighttpd", &["/usr/sbin/lighttpd", "-D", "-f"])
}

/// A port that nobody has. Another program could take it before the server does; the server then ends, which is told.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
