//! A page or RPC as YAML: what it declares, its template, and a block.

use std::sync::Arc;

use dropstar::{Purpose, Template};

use crate::block::{Block, Compiler};
use crate::load::{Entry, Kind, Mark, Node, Problems, nearest};
use crate::script::Script;
use crate::serve::declaration::{DECLARATION_FIELDS, Declared};
use crate::spec::{FieldKind, FieldSpec, Fields, same_key};
use crate::value::Map;

/// What `template` of a page takes besides text.
pub const TEMPLATE_FIELDS: &[FieldSpec] = &[FieldSpec::new(
    "path",
    FieldKind::Path,
    "The template's file; layouts and includes are looked for in its folder.",
)
.required()];

/// A page or RPC, read and compiled, not tied to an instance.
pub struct Definition {
    /// What it says about itself.
    pub declared: Declared,
    /// A page's template, and where it is named.
    pub template: Option<(Template, Mark)>,
    /// What it runs; a page may be a template alone.
    pub body: Option<Body>,
}

/// What a page or RPC runs.
pub enum Body {
    /// A dropped-in script.
    Script(Script),
    /// A block.
    Block {
        /// Its tags.
        block: Arc<Block>,
        /// Its `data`: what pipe data starts as.
        data: Map,
    },
}

/// The word for it in messages.
pub fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Page => "page",
        Purpose::Rpc => "RPC",
    }
}

/// The word with its article.
fn one(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Page => "a page",
        Purpose::Rpc => "an RPC",
    }
}

/// Reads a definition; mistakes go to the compiler's problems.
pub fn read(node: &Node, purpose: Purpose, compiler: &mut Compiler) -> Definition {
    let word = word(purpose);
    let Some(entries) = node.entries() else {
        let what = format!("the {word} is a {}", node.kind_name());
        compiler.problems.error(&node.mark, what, "expected a mapping such as {run: [{script: status.lua}]}");
        return Definition { declared: Declared::default(), template: None, body: None };
    };
    let is_declaration = |entry: &&Entry| DECLARATION_FIELDS.iter().any(|field| same_key(&entry.key, field.name));
    let (declarations, rest): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_declaration);
    let fields =
        Fields::sort(declarations.into_iter(), DECLARATION_FIELDS, &format!("the {word}"), &mut compiler.problems);
    let declared = Declared::read(&fields, purpose, &mut compiler.problems);
    let (templates, rest): (Vec<&Entry>, Vec<&Entry>) = rest.into_iter().partition(|entry| entry.key == "template");
    let template = templates.first().and_then(|entry| template(entry, purpose, &mut compiler.problems));
    refuse(&rest, purpose, &mut compiler.problems);
    let body = body(node, rest, compiler, purpose);
    Definition { declared, template, body }
}

fn template(entry: &Entry, purpose: Purpose, problems: &mut Problems) -> Option<(Template, Mark)> {
    if purpose == Purpose::Rpc {
        let what = "an RPC has no template";
        problems.error(&entry.mark, what, "remove it, or make a page of it: an RPC answers with JSON");
        return None;
    }
    let node = &entry.value;
    let source = &node.mark.source;
    match &node.kind {
        Kind::Mapping(_) => {
            let fields = Fields::read(node, TEMPLATE_FIELDS, "template", problems);
            let path: String = fields.literal("path", problems)?;
            Some((Template::File(source.resolve(path)), fields.node("path")?.mark.clone()))
        }
        _ => match node.as_text() {
            Some(text) => {
                let template = Template::Text { text: text.into(), folder: source.folder.clone() };
                Some((template, node.mark.clone()))
            }
            None => {
                let what = format!("template is a {}", node.kind_name());
                problems.error(&node.mark, what, "expected {path: FILE}, or the template itself as text");
                None
            }
        },
    }
}

/// Keys that have no meaning here, or probably another than the user thinks.
fn refuse(entries: &[&Entry], purpose: Purpose, problems: &mut Problems) {
    for entry in entries {
        if entry.key == "__usage" {
            let what = format!("{} has no __usage", one(purpose));
            problems.error(&entry.mark, what, "declare its arguments with args: {name: type}");
        }
        let names = DECLARATION_FIELDS.iter().map(|field| field.name).chain(["template", "run"]);
        if let Some(near) = nearest(&entry.key, names)
            && crate::tag::find(&entry.key).is_none()
        {
            let what = format!("\"{}\" is a value of the {}'s own", entry.key, word(purpose));
            problems.warning(&entry.mark, what, format!("did you mean \"{near}\"?"));
        }
    }
}

fn body(node: &Node, entries: Vec<&Entry>, compiler: &mut Compiler, purpose: Purpose) -> Option<Body> {
    let data = node.get("data").and_then(|entry| entry.value.to_value().as_object().cloned());
    if entries.iter().all(|entry| entry.key == "data" || entry.key == "blocks") {
        return None;
    }
    let entries = entries.into_iter().filter(|entry| entry.key != "__usage").cloned().collect();
    let node = Node { mark: node.mark.clone(), kind: Kind::Mapping(entries) };
    let stays = std::mem::take(&mut compiler.stays);
    let block = Arc::new(compiler.block(&node));
    if std::mem::replace(&mut compiler.stays, stays) {
        let what = format!("{} can't keep the instance alive", one(purpose));
        compiler.problems.error(&node.mark, what, "run workers and serve stand in the block file that serves it");
    }
    Some(Body::Block { block, data: data.unwrap_or_default() })
}
