//! The pages at `/login`: a form that works without scripts, and who is logged in.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::visitor::CSRF_FIELD;
use crate::answer::escape;
use crate::users::Sha256;

const STYLE: &str = include_str!("../assets/log_in.css");

/// The pages of one server.
#[derive(Debug)]
pub(super) struct LogInPage {
    prefix: String,
    /// Allows the page's own style by its hash, its form, and nothing else.
    policy: HeaderValue,
}

impl LogInPage {
    pub(super) fn new(prefix: &str) -> Self {
        let style = Sha256::of(STYLE.as_bytes()).to_policy_source();
        let policy = format!(
            "default-src 'none'; style-src '{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        let policy = HeaderValue::try_from(policy);
        // A hash in base64 fits a header; without it the page would only be plainer.
        let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'; form-action 'self'"));
        LogInPage { prefix: escape(prefix), policy }
    }

    /// The form, with what went wrong before, and where to go afterwards.
    pub(super) fn form(&self, status: StatusCode, alert: Option<&str>, to: &str) -> Response<Bytes> {
        let alert = alert.map(|text| format!("<p role=\"alert\">{}</p>\n", escape(text))).unwrap_or_default();
        let body = format!(
            "<h1>Log in</h1>\n{alert}<form method=\"post\" action=\"{}/login\">\n\
             <label>Name<input name=\"user\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" \
             required autofocus maxlength=\"64\"></label>\n\
             <label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\n\
             <input name=\"to\" type=\"hidden\" value=\"{}\">\n<button>Log in</button>\n</form>",
            self.prefix,
            escape(to),
        );
        self.page(status, "Log in", &body)
    }

    /// Who is logged in, and a button that ends it.
    pub(super) fn logged_in(&self, name: &str, token: &str) -> Response<Bytes> {
        let body = format!(
            "<h1>Logged in as {}</h1>\n<form method=\"post\" action=\"{}/logout\">\n\
             <input name=\"{CSRF_FIELD}\" type=\"hidden\" value=\"{}\">\n<button>Log out</button>\n</form>\n\
             <p><a href=\"{}/\">To the site</a></p>",
            escape(name),
            self.prefix,
            escape(token),
            self.prefix,
        );
        self.page(StatusCode::OK, "Logged in", &body)
    }

    fn page(&self, status: StatusCode, title: &str, body: &str) -> Response<Bytes> {
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\n\
             <body><main>\n{body}\n</main></body></html>\n"
        );
        let mut response = Response::new(Bytes::from(page));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }
}
