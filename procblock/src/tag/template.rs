//! `template`: fills a text and returns it. The only module that names minijinja.

use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment};

use crate::block::{Compiler, FileUse, FileUseKind, Run, TagOutcome, TagResult};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction, ready};
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[FieldSpec::new("path", FieldKind::Path, "The template's file.").required()];

/// How much work one template may do, in minijinja's units of one instruction each.
const FUEL: u64 = 10_000_000;

/// `template: {path}` or text.
pub(super) struct Template;

impl Tag for Template {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("template"),
            priority: Some(900),
            summary: "Fills a template with pipe data and the block's results, and returns the text.",
            text: "Jinja syntax: `{{ name }}`, `{% for %}`, `{% if %}`, `{% include %}` and `{% extends %}` from the template's \
                   folder. In files ending in .html values are escaped. A name that is missing is a failure.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[Example {
                yaml: "data: {who: world}\ntemplate: hello {{ who }}\n",
                expected: Expected::Result(r#"{"template": "hello world"}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        if node.entries().is_some() {
            let folder = node.mark.source.folder.clone();
            let fields = Fields::read(node, FIELDS, "template", &mut compiler.problems);
            if let Some(path) = fields.node("path") {
                compiler.files_named.push(FileUse { kind: FileUseKind::Template, node: path.clone() });
            }
            return Some(Box::new(Fill {
                source: From::File(fields.setting("path", &mut compiler.problems)?, folder),
            }));
        }
        let Some(text) = node.as_text() else {
            let what = format!("template is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected text, or {path: FILE}");
            return None;
        };
        Some(Box::new(Fill { source: From::Text(text.to_string()) }))
    }
}

enum From {
    Text(String),
    /// The path, and the folder of the file that names it.
    File(Setting<String>, PathBuf),
}

struct Fill {
    source: From,
}

impl Fill {
    fn fill(&self, run: &Run) -> Result<String, RunError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") || name.ends_with(".htm") { AutoEscape::Html } else { AutoEscape::None }
        });
        let context = context(run);
        let filled = match &self.source {
            From::Text(text) => environment.render_str(text, minijinja::value::Serde(&context)),
            From::File(path, folder) => {
                let path = folder.join(path.get(run)?);
                environment.set_loader(minijinja::path_loader(path.parent().unwrap_or(Path::new("/"))));
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                environment.get_template(&name).and_then(|template| template.render(minijinja::value::Serde(&context)))
            }
        };
        filled.map_err(|error| RunError::failed(format!("template: {error:#}")))
    }
}

fn context(run: &Run) -> Value {
    let mut names: Map = run.input.globals.clone();
    names.extend(run.outer.iter().map(|(key, value)| (key.clone(), value.clone())));
    names.extend(run.results.iter().map(|(key, value)| (key.clone(), value.clone())));
    names.extend(run.pipe_data.iter().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(names)
}

impl TagAction for Fill {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.fill(run).map(|text| TagOutcome::Save(Value::String(text))).map_err(Into::into))
    }
}
