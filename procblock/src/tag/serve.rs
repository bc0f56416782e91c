//! `serve`: pages and RPCs over HTTP, from folders and packages.

use std::path::PathBuf;
use std::sync::Arc;

use dropstar::ServeConfig;

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::serve::fields::SERVE_FIELDS;
use crate::serve::program::Surroundings;
use crate::serve::serving;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction};
use crate::value::Value;

/// One thing to serve.
const ITEM: FieldKind = FieldKind::OneOf(&[FieldKind::Path, FieldKind::Mapping(SERVE_FIELDS)]);

/// `serve: FOLDER`, `serve: SITE.yaml`, `serve: {…}` or a list of these.
pub(super) struct Serve;

impl Tag for Serve {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("serve"),
            priority: Some(850),
            summary: "Serves pages and RPCs over HTTP: a folder, a site file, or a list of these; the file stays until stopped.",
            text: "In a folder `pages/NAME.lua|py|sh|yaml` with `templates/NAME.html` is `/NAME` (`index` is `/`), \
                   `rpc/NAME.…` is `/rpc/NAME`, `static/a.js` is `/a.js`; a file dropped in or edited is live at once. It listens \
                   at 127.0.0.1:8686 unless told. A reload keeps the listeners and serves what the new file says. Its value is the \
                   list of URLs.",
            value: FieldKind::OneOf(&[FieldKind::Path, FieldKind::Mapping(SERVE_FIELDS), FieldKind::ListOf(&ITEM)]),
            examples: &[
                Example {
                    yaml: "serve: no_such_site\n",
                    expected: Expected::Refused("there is no folder \"no_such_site\""),
                },
                Example {
                    yaml: "serve: {port: 8080, folders: site}\n",
                    expected: Expected::Refused("did you mean \"folder\"?"),
                },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let serving = serving::read(node, &mut compiler.problems);
        compiler.stays = true;
        compiler.add_files(serving.files);
        compiler.sites.extend(serving.contents);
        Some(Box::new(ServeAction { configs: serving.configs, base: node.mark.source.folder.clone() }))
    }
}

struct ServeAction {
    configs: Vec<ServeConfig>,
    base: PathBuf,
}

impl ServeAction {
    async fn serve(&self, run: &Run) -> TagResult {
        if !run.instance.is_longrunning {
            log::info!("nothing is served: this run ends after one pass");
            return DISCARD;
        }
        let surroundings = Surroundings {
            instance: Arc::clone(&run.instance),
            folder: run.folder.as_deref().map(Into::into),
            base: self.base.as_path().into(),
        };
        let served = run.instance.servers.serve(self.configs.clone(), surroundings).await;
        let urls = served.map_err(|error| RunError::failed(error_chain(&error)))?;
        for url in &urls {
            log::info!("serving {}", url.url);
        }
        Ok(TagOutcome::Save(urls.into_iter().map(|url| Value::from(url.url)).collect()))
    }
}

/// An error with its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

impl TagAction for ServeAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.serve(run))
    }
}
