//! Every fenced block in the README and in prose pages runs, or is checked.
//!
//! A `yaml` block is a block file: it is checked, and run unless it says `longrunning`, then run with `--once`. A line
//! `# file: NAME` at its top names it; `lua`, `python`, `html`, `text` and `json` blocks with such a line are the files beside it,
//! in the same folder. Pages in docs/reference are made from declarations, whose examples have a test of their own.

use std::path::Path;

use crate::support::{Folder, files, repository};

struct Fence {
    language: String,
    name: Option<String>,
    text: String,
    line: usize,
}

fn fences(text: &str) -> Vec<Fence> {
    let mut fences: Vec<Fence> = Vec::new();
    let mut open: Option<Fence> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open =
                    Some(Fence { language: language.trim().into(), name: None, text: String::new(), line: number + 1 });
            }
            (Some(_), Some(_)) => fences.extend(open.take()),
            (Some(fence), None) => {
                let is_first = fence.text.is_empty();
                let named = line.trim_start_matches(['#', '-', '<', '!', ' ']).strip_prefix("file: ");
                if let (true, Some(name)) = (is_first, named) {
                    fence.name = Some(name.trim_end_matches("-->").trim().into());
                }
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    fences
}

fn check_page(path: &Path) {
    let shown = path.display();
    let folder = Folder::new();
    let fences = fences(&std::fs::read_to_string(path).unwrap());
    for fence in fences.iter().filter(|fence| fence.name.is_some()) {
        folder.write(fence.name.as_deref().unwrap(), &fence.text);
    }
    for fence in &fences {
        let place = format!("{shown}:{}", fence.line);
        match fence.language.as_str() {
            "yaml" => {
                let name = fence.name.clone().unwrap_or_else(|| format!("line{}.yaml", fence.line));
                folder.write(&name, &fence.text);
                let ran = folder.procblock(&["check", "--deny-warnings", &name]);
                assert_eq!(ran.code, 0, "{place}: {}", ran.error);
                let ran = folder.procblock(&["run", "--once", &name]);
                assert_eq!(ran.code, 0, "{place}: {}", ran.error);
            }
            "lua" | "python" | "html" => {
                assert!(fence.name.is_some(), "{place}: a script needs a line \"file: NAME\" and a block that runs it")
            }
            "sh" | "text" | "json" | "rust" => {}
            other => panic!("{place}: \"{other}\" is no language of ours"),
        }
    }
    let pages = fences.iter().filter_map(|fence| fence.name.as_deref()?.split_once("/pages/"));
    for (site, page) in pages {
        let ran = folder.procblock(&["check", "--deny-warnings", site]);
        assert_eq!((ran.code, ran.error.as_str()), (0, ""), "{shown}: {page}");
    }
}

#[test]
fn every_block_of_the_readme_and_of_prose_pages_runs() {
    let repository = repository();
    let mut pages =
        vec![repository.join("README.md"), repository.join("ARCHITECTURE.md"), repository.join("CONTRIBUTING.md")];
    let reference = repository.join("docs/reference");
    pages.extend(files(&repository.join("docs"), &["md"]).into_iter().filter(|path| !path.starts_with(&reference)));
    pages.extend(files(&repository.join("demos"), &["md"]));
    for page in pages {
        check_page(&page);
    }
}

#[test]
fn the_readme_begins_with_two_commands() {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let first = fences(&text).into_iter().next().unwrap();
    let commands: Vec<&str> = first.text.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["make run", "make test"]);
}

#[test]
fn links_to_files_of_the_repository_lead_somewhere() {
    let repository = repository();
    for page in [repository.join("README.md"), repository.join("ARCHITECTURE.md"), repository.join("CONTRIBUTING.md")] {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_outside = target.contains("://") || target.starts_with('#');
            let path = repository.join(target.split('#').next().unwrap());
            assert!(is_outside || path.exists(), "{}: {target} is not there", page.display());
        }
    }
}
