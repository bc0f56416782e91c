//! From the parser's events to nodes.
//!
//! The tree is built with a stack of what is open, so that no input makes it recurse; what is open at once is bounded
//! by the allowed depth, what is built by the budget of the load.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::load::alias::{Anchored, Size};
use crate::load::assemble::{Inclusion, assemble, refuse_duplicates};
use crate::load::include::{Loader, require_mapping};
use crate::load::place::{behind_properties, block_sign, dash_under};
use crate::load::problem::shown;
use crate::load::scalar::{self, Forced};
use crate::load::tag::{self, Meaning};
use crate::load::{Entry, Kind, Mark, Node, Source, Style, syntax};
use crate::value::Value;

/// Parses one source. `depth` is that of the place where its root will stand.
///
/// Nothing when the rest of the file can't be understood: the reason is among the loader's problems.
pub(crate) fn parse(loader: &mut Loader, source: &Arc<Source>, depth: usize) -> Option<Node> {
    let mut builder = Builder {
        loader,
        source: Arc::clone(source),
        depth,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
        read_to: Marker::new(0, 1, 0),
    };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(source.body());
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.event(event, span).ok()?,
            Err(error) => {
                let mark = builder.mark(error.marker());
                let opening = builder.open.last().map(|open| &open.mark);
                let told = syntax::explain(error.info(), mark, opening);
                builder.loader.problems.error(&told.mark, told.what, told.remedy);
                return None;
            }
        }
    }
    Some(builder.finish())
}

/// The rest of the file is not read; the problem was reported.
pub(super) struct Ended;

/// The stack of what is open, and what came out of it.
pub(super) struct Builder<'a> {
    pub(super) loader: &'a mut Loader,
    source: Arc<Source>,
    pub(super) depth: usize,
    pub(super) open: Vec<Open>,
    /// By the parser's number: the anchored nodes, and nothing for those that are still open.
    pub(super) anchors: HashMap<usize, Option<Anchored>>,
    root: Option<Node>,
    documents: u32,
    /// Where the parser stood after the last event, or before it.
    pub(super) read_to: Marker,
}

/// A list or mapping whose end was not read yet.
pub(super) struct Open {
    mark: Mark,
    anchor: usize,
    pub(super) items: Items,
}

pub(super) enum Items {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, inclusions: Vec<(usize, Inclusion)>, key: Option<Key> },
}

pub(super) struct Key {
    /// Nothing when the key was refused; its value is read and dropped.
    pub(super) text: Option<String>,
    pub(super) mark: Mark,
    pub(super) is_merge: bool,
}

/// A scalar of the file before its meaning is known.
struct Scalar<'a> {
    text: Cow<'a, str>,
    style: ScalarStyle,
    mark: Mark,
    forced: Option<Forced>,
}

impl Scalar<'_> {
    /// Whether nothing is written where a scalar could be.
    fn is_nothing(&self) -> bool {
        self.style == ScalarStyle::Plain && self.forced.is_none() && self.text.is_empty()
    }
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Ended> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(is_explicit) => self.document(is_explicit, span),
            Event::Alias(id) => self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let mark = self.mark(&span.start);
                let forced = self.forced(tag.as_deref(), &mark);
                let has_properties = anchor > 0 || tag.is_some();
                let mark = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => block_sign(&self.mark(&self.read_to)),
                    ScalarStyle::Plain if text.is_empty() => mark,
                    _ if has_properties => behind_properties(&mark),
                    _ => mark,
                };
                self.read_to = span.end;
                self.scalar(Scalar { text, style, mark, forced }, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.begin(Items::List(Vec::new()), anchor, tag.as_deref(), span),
            Event::MappingStart(anchor, tag) => {
                let items = Items::Mapping { entries: Vec::new(), inclusions: Vec::new(), key: None };
                self.begin(items, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.read_to = span.start;
                self.end()
            }
        }
    }

    fn finish(self) -> Node {
        let nothing =
            if self.loader.is_block { Kind::Mapping(Vec::new()) } else { Kind::Scalar(Value::Null, Style::Plain) };
        self.root.unwrap_or_else(|| Node { mark: Mark::start(self.source), kind: nothing })
    }

    pub(super) fn mark(&self, marker: &Marker) -> Mark {
        Mark {
            source: Arc::clone(&self.source),
            line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
            column: u32::try_from(marker.col()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    pub(super) fn error(&mut self, mark: &Mark, what: impl Into<String>, remedy: impl Into<String>) {
        self.loader.problems.error(mark, what, remedy);
    }

    fn document(&mut self, is_explicit: bool, span: Span) -> Result<(), Ended> {
        let mark = self.mark(&span.start);
        self.documents += 1;
        if self.documents == 1 {
            // The place of a document without `---` is that of its first token, which may be a block's text.
            if is_explicit {
                self.read_to = span.end;
            }
            return Ok(());
        }
        self.error(
            &mark,
            "a second document begins here, and a file holds one",
            "remove the line, or put it into a file of its own",
        );
        Err(Ended)
    }

    /// The kind that a scalar's tag forces; a tag that does not fit is a problem.
    fn forced(&mut self, tag: Option<&Tag>, mark: &Mark) -> Option<Forced> {
        let tag = tag::read(tag?);
        match tag.meaning {
            Meaning::Scalar(forced) => return Some(forced),
            Meaning::Mapping | Meaning::List => self.misplaced_tag(&tag.written, "scalar", mark),
            Meaning::Unknown => self.unknown_tag(&tag.written, mark),
        }
        None
    }

    fn check_collection_tag(&mut self, tag: &Tag, items: &Items, mark: &Mark) {
        let tag = tag::read(tag);
        let found = if matches!(items, Items::List(_)) { "list" } else { "mapping" };
        match (tag.meaning, items) {
            (Meaning::Mapping, Items::Mapping { .. }) | (Meaning::List, Items::List(_)) => {}
            (Meaning::Unknown, _) => self.unknown_tag(&tag.written, mark),
            _ => self.misplaced_tag(&tag.written, found, mark),
        }
    }

    fn misplaced_tag(&mut self, written: &str, found: &str, mark: &Mark) {
        self.error(mark, format!("the tag {written} stands before a {found}"), "remove the tag");
    }

    fn unknown_tag(&mut self, written: &str, mark: &Mark) {
        let remedy = "remove it, or quote a text that begins with !; known are !!str, !!int, !!float, !!bool, !!null, !!map and !!seq";
        self.error(mark, format!("unknown tag {}", shown(written)), remedy);
    }

    fn begin(&mut self, items: Items, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), Ended> {
        let mut mark = self.mark(&span.start);
        self.read_to = span.start;
        if let (Items::List(_), Some(key)) = (&items, self.open_key()) {
            mark = dash_under(&key.mark, &mark).unwrap_or(mark);
        }
        self.refuse_depth(1, &mark)?;
        self.take(Size { nodes: 1, text: 0, height: 0 }, &mark)?;
        if let Some(tag) = tag {
            self.check_collection_tag(tag, &items, &mark);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { mark, anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Ended> {
        let Some(Open { mark, anchor, items }) = self.open.pop() else { return Ok(()) };
        let kind = match items {
            Items::List(items) => Kind::List(items),
            Items::Mapping { entries, inclusions, .. } => {
                refuse_duplicates(&entries, &mut self.loader.problems);
                let entries = if inclusions.is_empty() {
                    entries
                } else {
                    assemble(entries, inclusions, &mut self.loader.problems)
                };
                Kind::Mapping(entries)
            }
        };
        self.complete(Node { mark, kind }, anchor)
    }

    fn scalar(&mut self, scalar: Scalar<'_>, anchor: usize) -> Result<(), Ended> {
        self.take(Size { nodes: 1, text: scalar.text.len(), height: 0 }, &scalar.mark)?;
        if let Some(Open { items: Items::Mapping { key: key @ None, .. }, .. }) = self.open.last_mut() {
            let is_missing = scalar.is_nothing();
            let mark = scalar.mark.clone();
            *key = Some(Key {
                text: (!is_missing).then(|| scalar.text.to_string()),
                mark: mark.clone(),
                is_merge: scalar.style == ScalarStyle::Plain && scalar.forced.is_none() && scalar.text == "<<",
            });
            if is_missing {
                self.error(&mark, "a value without a key", "write a key before the colon, or quote the text");
            }
            if anchor > 0 {
                let node =
                    Node { mark, kind: Kind::Scalar(Value::String(scalar.text.into_owned()), style_of(scalar.style)) };
                self.anchor(&node, anchor)?;
            }
            return Ok(());
        }
        if self.open.is_empty() && scalar.is_nothing() {
            // As an empty file: what that is, `finish` knows.
            return Ok(());
        }
        let node = self.value(scalar);
        self.complete(node, anchor)
    }

    fn value(&mut self, scalar: Scalar<'_>) -> Node {
        let Scalar { text, style, mut mark, forced } = scalar;
        let style = style_of(style);
        let is_plain = style == Style::Plain;
        if is_plain && text.is_empty() {
            mark = self.place_of_nothing(mark);
        }
        if is_plain
            && forced.is_none()
            && let Some((what, remedy)) = scalar::doubt(&text)
        {
            self.loader.problems.warning(&mark, what, remedy);
        }
        let value = match forced {
            Some(forced) => scalar::tagged(&text, forced),
            None if is_plain => scalar::plain(&text),
            None => Ok(Value::String(text.into_owned())),
        };
        let value = value.unwrap_or_else(|refused| {
            self.error(&mark, refused.what, refused.remedy);
            Value::Null
        });
        Node { mark, kind: Kind::Scalar(value, style) }
    }

    /// A value that is not written at all stands where its key does: there is no better place to show.
    fn place_of_nothing(&self, mark: Mark) -> Mark {
        self.open_key().map_or(mark, |key| key.mark.clone())
    }

    /// The key whose value comes next.
    fn open_key(&self) -> Option<&Key> {
        match self.open.last() {
            Some(Open { items: Items::Mapping { key, .. }, .. }) => key.as_ref(),
            _ => None,
        }
    }

    /// Puts a node that is whole into what is open around it.
    pub(super) fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Ended> {
        if anchor > 0 {
            self.anchor(&node, anchor)?;
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Mapping { key, .. }) => match key.take() {
                Some(key) => self.entry(key, node),
                None => {
                    *key = Some(Key { text: None, mark: node.mark.clone(), is_merge: false });
                    let what = format!("a {} can't be a key", node.kind_name());
                    self.error(&node.mark, what, "write a text as the key; quote a text that begins with { or [");
                }
            },
        }
        Ok(())
    }

    fn entry(&mut self, key: Key, value: Node) {
        let Some(text) = key.text else { return };
        let inclusion = if key.is_merge {
            Some(self.merge(&value))
        } else if self.loader.is_block {
            self.included(&text, &key.mark, &value)
        } else {
            None
        };
        if let Some(Open { items: Items::Mapping { entries, inclusions, .. }, .. }) = self.open.last_mut() {
            inclusions.extend(inclusion.map(|inclusion| (entries.len(), inclusion)));
            entries.push(Entry { key: text, mark: key.mark, value });
        }
    }

    fn merge(&mut self, value: &Node) -> Inclusion {
        let sources = value.items().unwrap_or(std::slice::from_ref(value));
        for source in sources {
            if source.entries().is_none() {
                let what = format!("<< adds the keys of mappings, and this is {}", source.kind_phrase());
                self.error(&source.mark, what, "write <<: *anchor or <<: [*first, *second], or quote the key");
            }
        }
        Inclusion::Merge
    }

    fn included(&mut self, key: &str, mark: &Mark, value: &Node) -> Option<Inclusion> {
        let depth = self.depth + self.open.len();
        if key == "__load" {
            let names = value.items().unwrap_or(std::slice::from_ref(value));
            // The root's own entries take the place of this mapping's: they are no deeper than it.
            let files = names.iter().filter_map(|name| {
                let loaded = self.loader.include(name, depth.saturating_sub(1))?;
                require_mapping(&loaded, &name.mark, &mut self.loader.problems).then_some(loaded)
            });
            return Some(Inclusion::Load(files.collect()));
        }
        let name = key.strip_prefix("__import__")?;
        if name.is_empty() || name == "__load" || name.starts_with("__import__") {
            self.error(
                mark,
                format!("{} does not say under which key to put the file", shown(key)),
                "write __import__NAME: file.yaml",
            );
            return None;
        }
        let loaded = self.loader.include(value, depth)?;
        Some(Inclusion::Import(name.to_owned(), loaded))
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}
