//! What a page or RPC says about itself, beside what it does.

use std::time::Duration;

use crate::Value;

/// How long a page or RPC may run unless it says otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Who may use a page or RPC. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Anybody who reaches the server.
    Nobody,
    /// A user who logged in, or a token with the scope `read`.
    Login,
    /// A token with the scope `call`, or a user who may call.
    Call,
    /// An administrator.
    Admin,
}

/// What a page or RPC says about itself: the leading `--:` or `#:` lines of a file, or keys of its YAML.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The title of the page. Default: its name.
    pub title: Option<String>,
    /// Whether it changes nothing, so that an RPC may be called by GET. Default: no.
    pub is_read_only: bool,
    /// The arguments it declares. When there are any, each given one is converted to its kind and a missing required
    /// one refuses the request; names that are not declared are passed on as they came.
    pub arguments: Vec<Argument>,
    /// Who may use it. Default: a site with users or tokens wants a log-in for pages and `call` for RPCs that are not
    /// read only; a site without any lets everybody.
    pub need: Option<Need>,
    /// The longest it may run. Default: 10 s.
    pub timeout: Duration,
    /// The Content-Security-Policy of the page instead of the site's.
    pub content_security_policy: Option<String>,
}

impl Default for Declaration {
    fn default() -> Self {
        Declaration {
            title: None,
            is_read_only: false,
            arguments: Vec::new(),
            need: None,
            timeout: TIMEOUT_DEFAULT,
            content_security_policy: None,
        }
    }
}

/// An argument that a page or RPC declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name in the request.
    pub name: String,
    /// Its kind.
    pub kind: ArgumentKind,
    /// Whether a request without it is refused (400).
    pub is_required: bool,
    /// What it is when the request does not give it.
    pub default: Option<Value>,
    /// One line for people.
    pub summary: Option<String>,
}

/// What an argument is converted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Text, as it came.
    #[default]
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// `true`, `false`, `1`, `0`, `on`, `off`; an empty text is true.
    Boolean,
    /// A list: `name[]=1&name[]=2`, or a JSON list.
    List,
    /// A JSON mapping.
    Mapping,
    /// A file of a form in parts, which nothing that a client writes can pass for: `{file, name, type, size}`, `file` being
    /// the path of a temporary file.
    File,
}
