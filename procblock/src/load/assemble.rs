//! What a mapping holds once its includes and merge keys were filled in.
//!
//! A file that is included wins over what the mapping says itself, as in the original; a merge key (`<<`) only adds
//! what is not there. Everything is put where the include or merge key stood, so that the order of keys is the one
//! that a reader sees.

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;

use crate::load::problem::shown;
use crate::load::{Entry, Kind, Mark, Node, Problems};

/// A key that stands for the contents of something else.
#[derive(Debug)]
pub(crate) enum Inclusion {
    /// `<<`: its value's mappings, whose keys are added where this one has none; the first wins.
    Merge,
    /// `__load`: files whose keys replace those of the mapping; the last wins.
    Load(Vec<Node>),
    /// `__import__NAME`: a file under a key.
    Import(String, Node),
}

/// Reports every key that a mapping has twice.
pub(crate) fn refuse_duplicates(entries: &[Entry], problems: &mut Problems) {
    const FEW: usize = 8;
    if entries.len() <= FEW {
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries.iter().take(index).find(|earlier| earlier.key == entry.key) {
                duplicate(entry, &first.mark, problems);
            }
        }
        return;
    }
    let mut order: Vec<&Entry> = entries.iter().collect();
    // The sort is stable: among equal keys the first of the document stays first.
    order.sort_by(|a, b| a.key.cmp(&b.key));
    for same in order.chunk_by(|a, b| a.key == b.key) {
        let Some((first, later)) = same.split_first() else { continue };
        for entry in later {
            duplicate(entry, &first.mark, problems);
        }
    }
}

fn duplicate(entry: &Entry, first: &Mark, problems: &mut Problems) {
    let what = format!("the key {} is already at line {}", shown(&entry.key), first.line);
    let remedy = match entry.key.as_str() {
        "<<" => "merge several mappings with <<: [*first, *second]",
        "__load" => "load several files with __load: [first.yaml, second.yaml]",
        _ => "rename or remove one of the two",
    };
    problems.error(&entry.mark, what, remedy);
}

/// The entries of a mapping with each inclusion (at its place among them, in order) filled in.
pub(crate) fn assemble(
    entries: Vec<Entry>,
    inclusions: Vec<(usize, Inclusion)>,
    problems: &mut Problems,
) -> Vec<Entry> {
    let own: IndexMap<String, ()> = entries.iter().map(|entry| (entry.key.clone(), ())).collect();
    let mut result: IndexMap<String, Entry> = IndexMap::with_capacity(entries.len());
    let mut overriding: Vec<Entry> = Vec::new();
    let mut imports: Vec<Entry> = Vec::new();
    let mut inclusions = inclusions.into_iter().peekable();
    for (index, entry) in entries.into_iter().enumerate() {
        let Some((_, inclusion)) = inclusions.next_if(|(at, _)| *at == index) else {
            result.entry(entry.key.clone()).or_insert(entry);
            continue;
        };
        match inclusion {
            Inclusion::Merge => {
                for added in merged_entries(entry.value).filter(|added| !own.contains_key(&added.key)) {
                    result.entry(added.key.clone()).or_insert(added);
                }
            }
            Inclusion::Load(files) => {
                for loaded in files.into_iter().flat_map(into_entries) {
                    if own.contains_key(&loaded.key) {
                        overriding.push(loaded);
                    } else {
                        put(&mut result, loaded);
                    }
                }
            }
            Inclusion::Import(name, value) => {
                let import = Entry { key: name, mark: entry.mark, value };
                if own.contains_key(&import.key) {
                    imports.push(import);
                } else {
                    import_into(&mut result, import, problems);
                }
            }
        }
    }
    overriding.into_iter().for_each(|entry| put(&mut result, entry));
    imports.into_iter().for_each(|import| import_into(&mut result, import, problems));
    result.into_values().collect()
}

fn merged_entries(value: Node) -> impl Iterator<Item = Entry> {
    let sources = match value {
        Node { kind: Kind::List(items), .. } => items,
        mapping => vec![mapping],
    };
    sources.into_iter().flat_map(into_entries)
}

fn into_entries(node: Node) -> Vec<Entry> {
    match node.kind {
        Kind::Mapping(entries) => entries,
        Kind::Scalar(..) | Kind::List(_) => Vec::new(),
    }
}

/// Sets a key; one that is there keeps its place in the order.
fn put(result: &mut IndexMap<String, Entry>, entry: Entry) {
    result.insert(entry.key.clone(), entry);
}

/// Puts a file under a key: two mappings are put together, the file's keys win.
fn import_into(result: &mut IndexMap<String, Entry>, import: Entry, problems: &mut Problems) {
    let mut present = match result.entry(import.key.clone()) {
        Slot::Vacant(vacant) => {
            vacant.insert(import);
            return;
        }
        Slot::Occupied(present) => present,
    };
    let present = present.get_mut();
    let both_are_mappings = present.value.entries().is_some() && import.value.entries().is_some();
    if both_are_mappings {
        let own = std::mem::replace(&mut present.value.kind, Kind::Mapping(Vec::new()));
        let own = into_entries(Node { mark: present.value.mark.clone(), kind: own });
        let mut together: IndexMap<String, Entry> = own.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        into_entries(import.value).into_iter().for_each(|entry| put(&mut together, entry));
        present.value.kind = Kind::Mapping(together.into_values().collect());
        return;
    }
    if !present.value.is_null() {
        let what = format!(
            "{} is {} here and {} in the imported file, which replaces it",
            shown(&present.key),
            present.value.kind_phrase(),
            import.value.kind_phrase()
        );
        problems.warning(&present.mark, what, "remove one of the two");
    }
    present.value = import.value;
}
