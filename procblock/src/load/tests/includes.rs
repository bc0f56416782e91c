//! What includes read, where from, and in what bounds.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::load::{Document, LoadError, load_file};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &TempDir) -> Result<Document, LoadError> {
    load_file(&folder.path().join("top.yaml"))
}

/// The text of the error, without the name of the folder.
fn refusal(folder: &TempDir) -> String {
    let text = load(folder).expect_err("an error").to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_path_is_looked_for_beside_its_file_then_beside_the_first() {
    let files = folder(&[
        ("top.yaml", "__import__sub: sub/a.yaml\n"),
        ("sub/a.yaml", "__import__near: b.yaml\n__import__far: c.yaml\n"),
        ("sub/b.yaml", "at: sub\n"),
        ("b.yaml", "at: top\n"),
        ("c.yaml", "at: top\n"),
    ]);
    let document = load(&files).unwrap();
    assert_eq!(document.root.to_value(), json!({"sub": {"near": {"at": "sub"}, "far": {"at": "top"}}}));
    let names: Vec<PathBuf> =
        ["top.yaml", "sub/a.yaml", "sub/b.yaml", "c.yaml"].iter().map(|name| files.path().join(name)).collect();
    assert_eq!(document.files, names);
}

#[test]
fn marks_of_included_nodes_name_their_file() {
    let files = folder(&[("top.yaml", "a: 1\n__load: sub/b.yaml\n"), ("sub/b.yaml", "\n\n  x: [1]\n")]);
    let document = load(&files).unwrap();
    let entry = document.root.get("x").unwrap();
    assert_eq!(entry.mark.to_string(), format!("{}:3:3", files.path().join("sub/b.yaml").display()));
    assert_eq!(entry.value.mark.source.folder, files.path().join("sub"));
}

#[test]
fn a_missing_file_names_every_place_that_was_tried() {
    let files = folder(&[
        ("top.yaml", "__load: sub/a.yaml\n"),
        ("sub/a.yaml", "x: 1\n__load: mising.yaml\n"),
        ("missing.yaml", ""),
    ]);
    assert_eq!(
        refusal(&files),
        "sub/a.yaml:2:9: there is no file \"mising.yaml\" (tried sub/mising.yaml and mising.yaml); did you mean \
         \"missing.yaml\"?\n  2 | __load: mising.yaml\n    |         ^"
    );
}

#[test]
fn a_cycle_through_links_and_folders_is_known() {
    let files =
        folder(&[("top.yaml", "__import__a: sub/a.yaml\n"), ("sub/a.yaml", "x:\n  __load: ../sub/link.yaml\n")]);
    symlink(files.path().join("top.yaml"), files.path().join("sub/link.yaml")).unwrap();
    assert_eq!(
        refusal(&files),
        "sub/a.yaml:2:11: a file includes itself: top.yaml -> sub/a.yaml -> sub/../sub/link.yaml; remove one of these \
         includes\n  2 |   __load: ../sub/link.yaml\n    |           ^"
    );
}

#[test]
fn a_file_included_twice_is_no_cycle() {
    let files = folder(&[("top.yaml", "__import__a: x.yaml\n__import__b: x.yaml\n"), ("x.yaml", "y: 1\n")]);
    let document = load(&files).unwrap();
    assert_eq!(document.root.to_value(), json!({"a": {"y": 1}, "b": {"y": 1}}));
    assert_eq!(document.files.len(), 2);
}

#[test]
fn a_chain_of_seventeen_files_is_refused() {
    let names: Vec<String> = (0..20).map(|n| if n == 0 { "top.yaml".into() } else { format!("{n}.yaml") }).collect();
    let texts: Vec<String> = (1..21).map(|n| format!("__import__x: {n}.yaml\n")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let text = refusal(&folder(&files));
    assert!(text.starts_with("15.yaml:1:14: more than 16 files include each other in a chain"), "{text}");
}

#[test]
fn includes_that_multiply_are_counted() {
    let mut texts = vec![("top.yaml".to_owned(), "__import__a: 0.yaml\n__import__b: 0.yaml\n".to_owned())];
    texts.extend(
        (0..14).map(|n| (format!("{n}.yaml"), format!("__import__a: {0}.yaml\n__import__b: {0}.yaml\n", n + 1))),
    );
    texts.push(("14.yaml".into(), "x: 1\n".into()));
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let text = refusal(&folder(&files));
    assert!(text.contains("more than 1000 files are included"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn nesting_is_counted_across_files() {
    let inner = format!("x: {}{}\n", "[".repeat(40), "]".repeat(40));
    let outer = format!("{}{{__load: inner.yaml}}{}\n", "{a: ".repeat(30), "}".repeat(30));
    let text = refusal(&folder(&[("top.yaml", &outer), ("inner.yaml", &inner)]));
    assert!(text.starts_with("inner.yaml:1:37: nested deeper than 64 levels"), "{text}");
}

#[test]
fn problems_of_all_files_come_together() {
    let files = folder(&[
        ("top.yaml", "__import__a: a.yaml\n__import__b: b.yaml\nc: !x y\nd: [\n"),
        ("a.yaml", "x: 1\nx: 2\n"),
        ("b.yaml", "z: 'open\n"),
    ]);
    let text = refusal(&files);
    let places: Vec<&str> =
        text.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["a.yaml:2:1", "b.yaml:1:4", "top.yaml:3:4", "top.yaml:4:4"]);
}

#[test]
fn only_regular_files_are_included() {
    let files = folder(&[("top.yaml", "__load: /dev/zero\n")]);
    assert!(refusal(&files).contains("\"/dev/zero\" is a pipe or a device; include a regular file"));
    let pipe = folder(&[("top.yaml", "__load: pipe.yaml\n")]);
    nix::unistd::mkfifo(&pipe.path().join("pipe.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refusal(&pipe).contains("is a pipe or a device"));
    let inside = folder(&[("top.yaml", "__load: sub\n"), ("sub/x.yaml", "")]);
    assert!(refusal(&inside).contains("\"sub\" is a folder; name a file in it"));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let error = |path: &Path| load_file(path).expect_err("an error").to_string();
    let files = folder(&[("block.yaml", "a: 1\n")]);
    let at = |name: &str| files.path().join(name);
    let name = |name: &str| at(name).display().to_string();

    assert_eq!(
        error(&at("blok.yaml")),
        format!("{0}:1:1: there is no file {0:?}; did you mean \"block.yaml\"?", name("blok.yaml"))
    );
    assert_eq!(
        error(files.path()).split(": ").nth(1),
        Some(format!("{:?} is a folder; name a file in it, such as block.yaml", files.path()).as_str())
    );
    assert!(error(&at("block.yaml/x.yaml")).contains("there is no file"));

    fs::File::create(at("large.yaml")).unwrap().set_len((16 << 20) + 1).unwrap();
    assert!(error(&at("large.yaml")).contains("is larger than 16 MiB"));

    fs::write(at("latin.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    assert_eq!(
        error(&at("latin.yaml")),
        format!(
            "{}:2:7: the byte 0xe9 is not UTF-8; save the file as UTF-8\n  2 | b: caf\u{fffd}\n    |       ^",
            name("latin.yaml")
        )
    );
    fs::write(at("wide.yaml"), b"\xff\xfea\0:\0").unwrap();
    assert_eq!(error(&at("wide.yaml")), format!("{}:1:1: the file is UTF-16; save it as UTF-8", name("wide.yaml")));

    fs::set_permissions(at("block.yaml"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if !nix::unistd::geteuid().is_root() {
        assert!(error(&at("block.yaml")).contains("can't be read: permission denied"));
    }
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let files = folder(&[]);
    let path = files.path().join("top.yaml");
    fs::write(&path, format!("#{}\n", "x".repeat((16 << 20) - 2))).unwrap();
    assert_eq!(load(&files).unwrap().root.to_value(), json!({}));
}
