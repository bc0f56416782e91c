//! Real shells read the rewritten lines: whatever a value holds must come out as it went in.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::ShellLine;
use crate::value::{Map, Value};

/// Values that mean something to a shell.
const HOSTILE: [&str; 30] = [
    "plain",
    "",
    " ",
    "two  blanks ",
    "$(id)",
    "`id`",
    "$HOME",
    "${HOME}",
    "$_1",
    "'",
    "\"",
    "'\"'\"'",
    "a;id",
    "a && id | cat > /dev/null &",
    "line\nbreak",
    "ends in lines\n\n",
    "-n",
    "-e \\n",
    "--help",
    "*",
    "/*",
    "[a-z]?",
    "\\",
    "ends in \\",
    "\\n \\\\ \\$ \\\"",
    "ünï©ode 🦀",
    "tab\tand\rreturn",
    "#comment",
    "~ ! {a,b} %s",
    "EOF\nid\nEOF",
];

/// The shells of this machine, `/bin/sh` first; bash also as it behaves when it is `/bin/sh`.
fn shells() -> Vec<Vec<&'static str>> {
    let candidates = [vec!["/bin/sh"], vec!["/usr/bin/dash"], vec!["/usr/bin/bash"], vec!["/usr/bin/bash", "--posix"]];
    let mut seen: Vec<(PathBuf, usize)> = Vec::new();
    candidates.into_iter().filter(|command| is_new(command, &mut seen)).collect()
}

/// Whether the shell is there and is not one of those before under another name.
fn is_new(command: &[&str], seen: &mut Vec<(PathBuf, usize)>) -> bool {
    let Ok(path) = std::fs::canonicalize(command[0]) else { return false };
    let shell = (path, command.len());
    let is_new = !seen.contains(&shell);
    seen.push(shell);
    is_new
}

fn scope(value: &str) -> Map {
    let mut map = Map::new();
    map.insert("v".into(), Value::String(value.into()));
    map.insert("n".into(), Value::from(5));
    map.insert("a b".into(), Value::from("spaced"));
    map
}

/// What the shell prints for a line, and whether it succeeded.
fn run(shell: &[&str], line: &ShellLine, data: &Map) -> (String, bool) {
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(line.text())
        .envs(line.render(data).unwrap())
        .env("OWN", "own text.txt")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// Runs `line` for every hostile value in every shell; the output must be `expected` with `{}` for the value.
fn prints(line: &str, expected: &str) {
    let parsed = ShellLine::parse(line).unwrap_or_else(|error| panic!("{line:?}: column {}: {error}", error.column));
    for shell in shells() {
        for value in HOSTILE {
            let (output, succeeded) = run(&shell, &parsed, &scope(value));
            let expected = expected.replace("{}", value);
            assert_eq!(output, expected, "{shell:?} on {line:?} as {:?} with {value:?}", parsed.text());
            assert!(succeeded, "{shell:?} on {line:?} with {value:?}");
        }
    }
}

#[test]
fn a_value_outside_quotes_is_one_argument() {
    prints("printf '<%s>' ${v}", "<{}>");
    prints("printf '<%s>' a${v}b ${v}", "<a{}b><{}>");
    prints("printf '<%s>' ${v}${v}", "<{}{}>");
    prints("printf '<%s>' x=${v} /nowhere/${v}/*.txt", "<x={}></nowhere/{}/*.txt>");
    prints("x=${v}; printf '<%s>' \"$x\"", "<{}>");
    prints("set -- ${v} ${n}; printf '<%s>' $# \"$1\" \"$2\"", "<2><{}><5>");
    prints("for x in ${v} b; do printf '<%s>' \"$x\"; done", "<{}><b>");
    prints("printf '%s' \\\\${v}", "\\{}");
}

#[test]
fn a_value_inside_double_quotes_is_text_of_them() {
    prints("printf '<%s>' \"${v}\"", "<{}>");
    prints("printf '<%s>' \"a${v}b_${v}9\"", "<a{}b_{}9>");
    prints("printf '<%s>' \"it's ${v}\"", "<it's {}>");
    prints("printf '<%s>' \"\\\"${v}\\\"\" \"\\\\${v}\"", "<\"{}\"><\\{}>");
    prints("printf '<%s>' 'single '\"${v}\"' again'", "<single {} again>");
    prints("printf '<%s>' \"# ${v}\" # not ' \" a quote ${nothing here", "<# {}>");
}

#[test]
fn a_value_inside_a_here_document_is_text_of_it() {
    prints("cat <<EOF\nit's \"${v}\" (\n${v}9\nEOF\nprintf '<%s>' ${v}", "it's \"{}\" (\n{}9\n<{}>");
    prints("cat <<-EOF | cat\n\t${v}\n\tEOF\n", "{}\n");
    prints("cat <<A; cat <<B\n${v}\nA\n2 ${v}\nB\nprintf %s ${v}", "{}\n2 {}\n{}");
    prints("cat <<EOF\n\\${v} \\\\${v} $(printf '<%s>' ${v})\nEOF", "${v} \\{} <{}>\n");
}

#[test]
fn quoting_starts_anew_inside_a_command_substitution() {
    prints("printf '<%s>' \"$(printf '%s.' ${v})\"", "<{}.>");
    prints("printf '<%s>' \"a $(printf '%s.' \"b ${v}\" ${v}) ${v}\"", "<a b {}.{}. {}>");
    prints("x=$(printf '%s.' ${v}); printf '<%s>' \"$x\"", "<{}.>");
    prints("x=$(case a in (b) echo no;; a) printf '%s.' ${v};; esac); printf '%s' \"$x\" ${v}", "{}.{}");
    prints("x=$(case a in b) echo \"no\";; a|c ) printf '%s.' \"${v}\"; esac); printf '%s' \"$x ${v}\"", "{}. {}");
    prints("x=$(echo a # it's ) a comment\nprintf '%s.' ${v}); printf '%s' \"$x\"", "a\n{}.");
    prints("(printf '<%s>' ${v}; (printf '<%s>' \"${v}\"))", "<{}><{}>");
    prints("printf '<%s>' \"$(cat <<EOF\n\"${v}.\nEOF\n)\"", "<\"{}.>");
}

#[test]
fn a_value_in_a_case_matches_only_itself() {
    prints("case ${v} in ${v}) printf yes;; *) printf no;; esac", "yes");
    prints("case \"x${v}\" in x\"${v}\") printf yes;; *) printf no;; esac; printf '<%s>' ${v}", "yes<{}>");
    prints("case zz in ${v}) printf yes;; *) printf no;; esac", "no");
    prints("if case a in a) true;; esac; then printf '<%s>' ${v}; fi", "<{}>");
    prints("f() { case $1 in\n  a) printf '<%s>' \"$2\";;\n esac; }; f a ${v}", "<{}>");
}

#[test]
fn the_shells_own_expansions_stay_its_own() {
    prints(
        "printf '<%s>' \"$OWN\" \"${OWN%.txt}\" \"${OWN#own }\" \"${#OWN}\" ${v}",
        "<own text.txt><own text><text.txt><12><{}>",
    );
    prints("set -- a b; printf '<%s>' \"${1}\" \"$#${2}\" \"${#}\" ${v}", "<a><2b><2><{}>");
    prints("printf '<%s>' \"$${OWN}\" $${NONE:-\"it's\"} ${v}", "<own text.txt><it's><{}>");
    prints("printf '<%s>' \"${OWN:+set ${v}}\" ${NONE:+unset} ${OWN:+${v}}", "<set {}><{}>");
    prints("x=a${v}; printf '<%s>' \"${x%${v}}\" ${x%${v}} \"${x#a}\"", "<a><a><{}>");
    prints("printf '<%s>' $((1 + (2 * 3))) \"$(( 4 ))\" ${v}", "<7><4><{}>");
    prints("printf '<%s>' '`$(${OWN%x}' `echo \\`echo b\\`` ${v}", "<`$(${OWN%x}><b><{}>");
    prints("printf '<%s>' '$${v}' \"\\${v}\" ${v}", "<${v}><${v}><{}>");
}

#[test]
fn a_line_that_uses_generated_names_gets_others() {
    let line = ShellLine::parse("_1=a; __2=b; printf '<%s>' ${v} \"$_1$__2\"").unwrap();
    assert_eq!(line.render(&scope("x")).unwrap(), [("___1".to_owned(), "x".to_owned())]);
    prints("_1=a; __2=b; printf '<%s>' ${v} \"$_1$__2\"", "<{}><ab>");
}

#[test]
fn every_kind_of_value_has_its_text() {
    let data = serde_json::json!({"null": null, "yes": true, "n": 1.5, "list": ["a b", 1], "map": {"k": null}});
    let data = data.as_object().unwrap();
    let line =
        ShellLine::parse("printf '<%s>' ${data_null:-} ${yes} ${n * 2} ${list} ${map} ${none:-a b} ${list.0}").unwrap();
    for shell in shells() {
        let expected = "<><true><3.0><[\"a b\",1]><{\"k\":null}><a b><a b>";
        assert_eq!(run(&shell, &line, data), (expected.to_owned(), true), "{shell:?}");
    }
}

#[test]
fn where_no_reference_can_stand_it_is_refused_with_its_place() {
    for (line, column, words) in [
        ("echo '${v}'", 6, "inside single quotes; use double quotes"),
        ("echo ünï 'a ${v}'", 12, "inside single quotes"),
        ("echo $'${v}'", 7, "inside single quotes"),
        ("echo `cat ${v}`", 10, "inside backquotes; write $(command)"),
        ("echo \"`cat ${v}`\"", 11, "inside backquotes"),
        ("cat <<'EOF'\n${v}\nEOF", 12, "inside a quoted here-document"),
        ("cat <<\\EOF\n${v}\nEOF", 11, "inside a quoted here-document"),
        ("cat <<-\"EOF\"\n${v}\nEOF", 13, "inside a quoted here-document"),
        ("echo $((${n} + 1))", 8, "where the shell computes; compute in the expression"),
        ("echo \"$((\"${n}\" + 1))\"", 10, "where the shell computes"),
        ("((x = ${n}))", 6, "where the shell computes"),
        ("echo $[${n}+1]", 5, "where the shell computes"),
        ("echo ${OWN:${n}}", 11, "where the shell computes"),
        ("cat <<EOF\n${OWN%${v}}\nEOF", 16, "in a pattern inside a here-document"),
        ("echo \"${OWN:+\"${v}\"}\"", 14, "inside quotes of the shell's own"),
        ("echo ${n+1}", 5, "can be computing or the shell's own default; write ${n + 1}"),
        ("echo ${n-1}", 5, "can be computing or the shell's own default"),
        ("echo ${x:-\"a b\"}", 5, "a default is plain text"),
        ("echo ${x:-$(id)}", 5, "a default is plain text"),
        ("echo ${x:-$HOME}", 5, "a default is plain text"),
        ("echo ${v", 5, "\"${\" has no closing"),
        ("echo \"${v}", 5, "the double quote is never closed"),
        ("echo ${v} 'a", 10, "the single quote is never closed"),
        ("echo $(${v}", 5, "the parenthesis is never closed"),
        ("echo ${v} %(name)s", 10, "\"%(name)s\" is the spelling of the original; write ${name}"),
        ("echo %(name)s", 5, "\"%(name)s\" is the spelling of the original; write ${name}"),
        ("echo ${a b}", 9, "unexpected \"b\""),
        ("echo ${}", 5, "holds no name"),
        ("echo ${v ==}", 11, "ends too early"),
    ] {
        let error = ShellLine::parse(line).expect_err(line);
        assert!(error.to_string().contains(words), "{line:?} gave {error}");
        assert_eq!(error.column, column, "{line:?} gave {error}");
    }
}

#[test]
fn a_line_without_references_is_left_as_it_is() {
    for line in ["", "echo 'it", "case a in b) echo \"", "echo $HOME `id` $((1))", "%(", "echo %(a b)s"] {
        let parsed = ShellLine::parse(line).unwrap();
        assert_eq!(parsed.text(), line);
        assert!(parsed.is_literal());
    }
}

#[test]
fn what_no_variable_can_hold_is_an_error() {
    let line = ShellLine::parse("echo ${v}").unwrap();
    let error = line.render(&scope("a\0b")).unwrap_err();
    assert_eq!((error.column, error.message.as_str()), (5, "the value holds a NUL character, which no variable can"));
    let longest = "x".repeat(128 * 1024 - 1 - "_1=".len());
    for shell in shells() {
        let counted = ShellLine::parse("echo ${v} | wc -c").unwrap();
        assert!(run(&shell, &counted, &scope(&longest)).1);
    }
    let error = line.render(&scope(&format!("{longest}x"))).unwrap_err();
    assert!(error.message.contains("a shell takes at most 128 KiB"), "{error}");
}

#[test]
fn a_missing_name_says_how_the_shells_own_is_written() {
    let line = ShellLine::parse("echo ${HOME}").unwrap();
    let error = line.render(&scope("")).unwrap_err();
    assert_eq!(error.message, "\"HOME\" is not defined");
    assert_eq!(error.remedy, "a variable of the shell is written $NAME or $${NAME}; ${name:-text} gives a default");
}

#[test]
fn long_and_deep_lines_end_soon() {
    let deep = |open: &str, close: &str| format!("{}${{v}}{}", open.repeat(200), close.repeat(200));
    for line in [deep("$(", ")"), deep("(", ")"), deep("\"$(", ")\""), deep("$${x:-", "}"), deep("((", "))")] {
        assert!(ShellLine::parse(&line).is_err());
    }
    let started = std::time::Instant::now();
    for piece in [
        "$[",
        "${v}",
        "<<a ",
        "'${x%",
        "case ",
        "case a in b)",
        "$(",
        "${1${",
        "`",
        "\\",
        "ü${x#",
        "$$",
        "#",
        "${v:-${",
    ] {
        let line = format!("${{v}} {}", piece.repeat(120_000 / piece.len()));
        let _ = ShellLine::parse(&line);
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

/// A word outside quotes and what it becomes, `{}` standing for the value.
fn word() -> impl Strategy<Value = (String, String)> {
    let literal = prop::sample::select(vec![
        ("a", "a"),
        ("b#", "b#"),
        ("\\'", "'"),
        ("\\\"", "\""),
        ("'q\"$v'", "q\"$v"),
        ("\\\\", "\\"),
        ("${v}", "{}"),
        ("\\${v\\}", "${v}"),
        ("\"${OWN%% *}\"", "own"),
        ("$((1+(2)))", "3"),
        ("${none:-d e}", "d e"),
    ]);
    let literal = literal.prop_map(|(text, becomes)| (text.to_owned(), becomes.to_owned()));
    literal.prop_recursive(4, 24, 4, |word| {
        let quoted = prop::sample::select(vec![
            ("it's ", "it's "),
            ("\\\"", "\""),
            (") ;; esac (", ") ;; esac ("),
            ("# ", "# "),
            ("${v}", "{}"),
            ("${v}9", "{}9"),
            ("${OWN:+x ${v}}", "x {}"),
            ("\\${v}", "${v}"),
        ]);
        let quoted = quoted.prop_map(|(text, becomes)| (text.to_owned(), becomes.to_owned()));
        let inside = prop_oneof![3 => quoted, 2 => word.clone().prop_flat_map(substitution)];
        prop_oneof![
            prop::collection::vec(word, 1..4).prop_map(join),
            prop::collection::vec(inside, 0..4)
                .prop_map(join)
                .prop_map(|(text, becomes)| (format!("\"{text}\""), becomes)),
        ]
    })
}

fn join(parts: Vec<(String, String)>) -> (String, String) {
    let (texts, becomes): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
    (texts.concat(), becomes.concat())
}

/// Commands around a word, substituted into double quotes.
fn substitution((word, becomes): (String, String)) -> impl Strategy<Value = (String, String)> {
    let commands = vec![
        format!("printf '%s.' {word}"),
        format!(" (printf '%s.' {word})"),
        format!("case a in b) ;; (a|c) printf '%s.' {word} ;; esac"),
        format!("case a in\n# it's ) a comment\n a) printf '%s.' {word}\nesac"),
        format!("if true; then case a in a) printf '%s.' {word}; esac; fi # \"\n"),
        format!("cat <<'E' >/dev/null; printf '%s.' {word}\nit's \" ( `\nE\n"),
    ];
    prop::sample::select(commands).prop_map(move |command| (format!("$({command})"), format!("{becomes}.")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_nesting_of_quotes_keeps_the_value((word, becomes) in word(), index in 0..HOSTILE.len()) {
        let line = format!("printf '<%s>' {word} \"${{v}}\"");
        let parsed = ShellLine::parse(&line);
        prop_assert!(parsed.is_ok(), "{line}: {parsed:?}");
        let parsed = parsed.unwrap();
        let value = HOSTILE[index];
        for shell in shells() {
            let (output, _) = run(&shell, &parsed, &scope(value));
            let expected = format!("<{}><{{}}>", becomes).replace("{}", value);
            prop_assert_eq!(output, expected, "{:?} on {:?} as {:?}", shell, line, parsed.text());
        }
    }
}
