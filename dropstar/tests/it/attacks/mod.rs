//! What an attacker would try, each by its name, over real connections. Bodies that are too much, too deep, too slow or
//! compressed too well stand in `requests` and `connections`, paths that climb in `static_files`, and the walk over all
//! routes beside the server itself.

mod forgery;
mod heads;
mod log_in;
mod markup;
mod open_files;
mod tls;

use std::path::PathBuf;

use dropstar::ServeConfig;
use dropstar::users::{Scope, UsersFile};

use crate::support::{Fixture, Reply};

pub(crate) const PASSWORD: &str = "correct horse";

/// A site with the users ann (admin) and ben (call), and a token that may call.
pub(crate) struct Guarded {
    pub(crate) site: Fixture,
    pub(crate) file: PathBuf,
    pub(crate) token: String,
}

/// A session: what the browser sends along, and what its forms bring.
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

pub(crate) fn guarded(files: &[(&str, &str)]) -> Guarded {
    guarded_with(files, |_| {})
}

pub(crate) fn guarded_with(files: &[(&str, &str)], change: impl FnOnce(&mut ServeConfig)) -> Guarded {
    let mut made = None;
    let site = Fixture::with(files, |config, folder| {
        let file = UsersFile::new(folder.join("users.json"));
        let token = file.change(|users| {
            users.add_user("ann", Some(PASSWORD), Scope::Admin)?;
            users.add_user("ben", Some("battery staple"), Scope::Call)?;
            users.add_token("deploy", Scope::Call, std::time::Duration::ZERO, None)
        });
        config.users = Some(file.path().into());
        change(config);
        made = Some((file.path().to_path_buf(), token.unwrap()));
    });
    let (file, token) = made.unwrap();
    Guarded { site, file, token }
}

impl Guarded {
    /// The origin that a browser names for a page of this server.
    pub(crate) fn origin(&self) -> String {
        format!("http://localhost:{}", self.site.address().port())
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.site.address().port())
    }

    /// A POST as a browser sends it from a page of this server.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (host, origin) = (self.host(), self.origin());
        let own = [("host", host.as_str()), ("origin", &origin), ("sec-fetch-site", "same-origin")];
        let headers: Vec<_> = own.into_iter().chain(headers.iter().copied()).collect();
        self.site.request("POST", path, &headers, body)
    }

    pub(crate) fn try_log_in(&self, user: &str, password: &str, headers: &[(&str, &str)]) -> Reply {
        let body = format!("user={user}&password={}", password.replace(' ', "+"));
        let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        let headers: Vec<_> = form.into_iter().chain(headers.iter().copied()).collect();
        self.post("/login", &headers, &body)
    }

    pub(crate) fn log_in(&self, user: &str, password: &str) -> Session {
        let reply = self.try_log_in(user, password, &[]);
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_string();
        let headers = [("cookie", cookie.as_str()), ("accept", "application/json")];
        let described = self.site.request("GET", "/login", &headers, "").json();
        let token = described["csrf_token"].as_str().unwrap().to_string();
        Session { cookie, token }
    }
}
