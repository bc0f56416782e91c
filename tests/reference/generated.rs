//! docs/reference and schemas say what the declarations say.

use procblock::docs::{self, Topic};

use crate::support::{Folder, assert_file, files, repository};

#[test]
fn the_reference_is_up_to_date() {
    let folder = repository().join("docs/reference");
    let pages = docs::pages(&procblock::cli::command());
    for page in &pages {
        assert_file(&folder.join(format!("{}.md", page.name)), &docs::markdown(&page.parts));
    }
    for path in files(&folder, &["md"]) {
        let is_made = pages.iter().any(|page| path.file_stem().is_some_and(|stem| stem == page.name));
        assert!(is_made, "{} is made by nothing", path.display());
    }
}

#[test]
fn the_schemas_are_up_to_date() {
    for kind in ["block", "site", "package"] {
        let ran = Folder::new().procblock(&["schema", kind]);
        assert_eq!(ran.code, 0);
        assert_file(&repository().join(format!("schemas/{kind}.schema.json")), &ran.output);
    }
}

#[test]
fn every_name_of_the_reference_leads_somewhere() {
    let commands = procblock::cli::command();
    for name in docs::names(&commands) {
        assert!(matches!(docs::find(&name, &commands), Topic::Found(_)), "{name}");
    }
}

#[test]
fn a_topic_is_shown_as_text() {
    let folder = Folder::new();
    for (words, text) in [
        (&["docs"][..], "command-line"),
        (&["docs", "run", "workers"][..], "dead letters"),
        (&["docs", "run_workers"][..], "dead letters"),
        (&["docs", "timeout"][..], "How long one attempt may take"),
        (&["docs", "lua"][..], "json.encode(value, indent?)"),
        (&["docs", "if", "load > 5"][..], "elif EXPR"),
        (&["docs", "unidist.sharedlock"][..], "sharedlock.acquire"),
        (&["docs", "sharedcounter.increment"][..], "returns the new value"),
        (&["docs", "check"][..], "procblock check"),
    ] {
        let ran = folder.procblock(words);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.error);
        assert!(ran.output.contains(text), "{words:?}: {}", ran.output);
        assert!(ran.output.lines().all(|line| !line.starts_with('|')), "{words:?}: {}", ran.output);
    }
}

#[test]
fn an_unknown_topic_names_the_nearest_word() {
    let ran = Folder::new().procblock(&["docs", "tiemout"]);
    assert_eq!(
        (ran.code, ran.error.as_str()),
        (2, "error: there is no topic \"tiemout\"; did you mean \"timeout\"?\n")
    );
    let ran = Folder::new().procblock(&["docs", "zebra"]);
    assert_eq!(
        (ran.code, ran.error.as_str()),
        (2, "error: there is no topic \"zebra\"; procblock docs lists the pages\n")
    );
}
