//! What a request is answered with: pages, procedures' values, static files, problems.

mod body;
mod compression;
mod content_type;
mod page;
mod problem;
mod response;
mod source;
mod static_answer;
mod static_files;
mod template;

pub(crate) use body::{AnswerBody, Stream};
pub(crate) use compression::{accepts_gzip, compress, gzip};
pub(crate) use page::{Filling, flat, page, wants_json};
pub(crate) use problem::{Form, Problem, escape, log_broken};
pub(crate) use response::{Circumstances, json, made};
pub(crate) use static_answer::answer as static_answer;
pub(crate) use static_files::{StaticFile, StaticFiles, StaticRoot};
pub(crate) use template::{OwnTemplates, PageTemplate, below};
