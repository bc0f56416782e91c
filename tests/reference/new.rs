//! `procblock new`: first files that run at once and replace nothing.

use crate::support::Folder;

#[test]
fn a_new_block_runs() {
    let folder = Folder::new();
    let ran = folder.procblock(&["new", "block", "dice"]);
    assert_eq!((ran.code, ran.output.as_str()), (0, "procblock dice.yaml\n"), "{}", ran.error);
    let ran = folder.procblock(&["dice.yaml", "--dice", "3"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    let rolls = ran.json().pointer("/run/rolls").and_then(|rolls| rolls.as_array().map(Vec::len));
    assert_eq!(rolls, Some(3));
}

#[test]
fn a_new_monitor_runs() {
    let folder = Folder::new();
    folder.procblock(&["new", "monitor", "machine"]);
    let ran = folder.procblock(&["run", "--once", "machine.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    assert!(ran.json().pointer("/run/load_1").is_some(), "{}", ran.output);
    if cfg!(feature = "series") {
        for name in ["machine_cpu.rrd", "machine_load.rrd", "machine_memory.rrd", "machine_cpu.png"] {
            assert!(folder.path().join(name).is_file(), "{name} is not there: {}", ran.error);
        }
    }
}

#[test]
fn a_new_backup_packs_and_keeps_the_newest() {
    let folder = Folder::new();
    folder.write("data/a.txt", "content");
    folder.procblock(&["new", "backup", "nightly"]);
    for old in ["nightly-1.tar.gz", "nightly-2.tar.gz"] {
        folder.write(&format!("nightly_archives/{old}"), "old");
    }
    let ran = folder.procblock(&["nightly.yaml", "--folder", "data", "--keep", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    let mut names: Vec<String> = std::fs::read_dir(folder.path().join("nightly_archives"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("nightly-20")), "{names:?}");
    let ran = folder.procblock(&["nightly.yaml", "--folder", "data", "--target", "/proc/no/archives"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.error.contains("no backup of /") && ran.error.contains("/data: mkdir exited with code 1"),
        "{}",
        ran.error
    );
}

#[test]
fn every_kind_is_without_problems_and_names_its_schema() {
    let folder = Folder::new();
    for kind in ["block", "monitor", "backup"] {
        folder.procblock(&["new", kind, kind]);
        let file = format!("{kind}.yaml");
        let ran = folder.procblock(&["check", "--deny-warnings", &file]);
        assert_eq!((ran.code, ran.error.as_str()), (0, ""));
        let text = std::fs::read_to_string(folder.path().join(&file)).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        assert!(folder.path().join(schema).is_file(), "{schema}");
    }
}

#[test]
fn a_new_site_takes_pages_and_procedures() {
    let folder = Folder::new();
    let ran = folder.procblock(&["new", "site", "tools"]);
    assert_eq!((ran.code, ran.output.as_str()), (0, "procblock serve tools\n"), "{}", ran.error);
    let ran = folder.procblock(&["new", "page", "disks", "--folder", "tools"]);
    let told = "procblock serve tools    then http://127.0.0.1:8686/disks\n";
    assert_eq!((ran.code, ran.output.as_str()), (0, told), "{}", ran.error);
    let ran = folder.procblock(&["new", "rpc", "add", "--folder", "tools"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    for file in ["pages/index.lua", "pages/disks.lua", "templates/disks.html", "rpc/add.lua", "static/style.css"] {
        assert!(folder.path().join("tools").join(file).is_file(), "{file}");
    }
    let ran = folder.procblock(&["check", "--deny-warnings", "tools"]);
    assert_eq!((ran.code, ran.error.as_str()), (0, ""));
}

#[test]
fn nothing_is_replaced_unless_forced() {
    let folder = Folder::new();
    folder.write("mine.lua", "-- mine");
    let ran = folder.procblock(&["new", "block", "mine"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.error, "error: ./mine.lua is there already; choose another name, or add --force to replace it\n");
    assert!(!folder.path().join("mine.yaml").exists());
    assert_eq!(folder.procblock(&["new", "block", "mine", "--force"]).code, 0);
}

#[test]
fn a_kind_or_name_that_is_not_possible_is_refused() {
    let folder = Folder::new();
    assert_eq!(folder.procblock(&["new", "pages", "status"]).code, 2);
    for name in ["../up", "a b", "", "5", "-"] {
        assert_eq!(folder.procblock(&["new", "block", name]).code, 2, "{name}");
    }
}
