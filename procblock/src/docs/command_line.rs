//! The page of the command line, from clap's own declaration.

use clap::{Arg, Command};

use crate::docs::{Page, Part};

const ABOUT: &str = "`procblock FILE` runs a block file; `procblock COMMAND` does the rest. procblock's own options stand before \
FILE; what follows FILE belongs to the file, also `--help`, except that `-v`, `-vv`, `-o`, `--set` and `--unidist` are taken \
where the file does not declare them.";

const EXIT_CODES: [(&str, &str); 9] = [
    ("0", "done; for a longrunning file also after a stop"),
    ("1", "a block failed, a key or lock wanted is absent, a port is in use"),
    ("2", "wrong usage"),
    ("3", "no instance is running"),
    ("78", "a file is bad or missing"),
    ("124", "a wait with a time limit ended"),
    (
        "125",
        "of `lock … -- COMMAND`: procblock itself failed; 126 not executable, 127 not found, else the command's own code",
    ),
    ("130", "a short file was stopped by Ctrl-C"),
    ("143", "a short file was stopped by TERM"),
];

/// Every command with its arguments and options.
pub(super) fn page(commands: &Command) -> Page {
    let mut built = commands.clone();
    built.build();
    let shown = built.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let shown: Vec<&Command> = shown.collect();
    let rows = shown.iter().map(|command| vec![format!("`{}`", command.get_name()), about(command)]).collect();
    let mut parts = vec![
        Part::Heading(1, "Command line".into()),
        Part::Paragraph(ABOUT.into()),
        Part::Table(vec!["command", "meaning"], rows),
    ];
    parts.extend(shown.iter().flat_map(|command| section(command, &format!("procblock {}", command.get_name()))));
    parts.push(Part::Heading(2, "Exit codes".into()));
    let rows = EXIT_CODES.iter().map(|(code, meaning)| vec![format!("`{code}`"), (*meaning).into()]).collect();
    parts.push(Part::Table(vec!["code", "meaning"], rows));
    Page { name: "command-line", summary: "commands, options and exit codes", parts }
}

/// One command, and those below it.
pub(super) fn section(command: &Command, called: &str) -> Vec<Part> {
    let mut parts = vec![Part::Heading(2, called.into()), Part::Paragraph(about(command))];
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_shown(argument)).collect();
    parts.push(Part::Code("text", usage(called, &arguments, command)));
    let rows: Vec<Vec<String>> = arguments.iter().map(|argument| row(argument)).collect();
    if !rows.is_empty() {
        parts.push(Part::Table(vec!["argument", "default", "meaning"], rows));
    }
    let below = command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    parts.extend(below.flat_map(|inner| section(inner, &format!("{called} {}", inner.get_name()))));
    parts
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn about(command: &Command) -> String {
    sentence(command.get_about().map(ToString::to_string))
}

fn sentence(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.is_empty() || joined.ends_with(['.', '?', '!']) { joined } else { format!("{joined}.") }
}

fn usage(called: &str, arguments: &[&Arg], command: &Command) -> String {
    let mut line = called.to_string();
    if arguments.iter().any(|argument| !argument.is_positional()) {
        line.push_str(" [options]");
    }
    for argument in arguments.iter().filter(|argument| argument.is_positional()) {
        let name = value_name(argument);
        let many = if takes_many(argument) { "..." } else { "" };
        line.push_str(&if argument.is_required_set() { format!(" {name}{many}") } else { format!(" [{name}{many}]") });
    }
    if command.get_subcommands().any(|inner| inner.get_name() != "help") {
        line.push_str(" COMMAND");
    }
    line
}

fn takes_many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn value_name(argument: &Arg) -> String {
    let named = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    named.unwrap_or_else(|| argument.get_id().as_str().to_uppercase())
}

fn row(argument: &Arg) -> Vec<String> {
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|letter| format!("-{letter}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let takes_value = argument.get_action().takes_values();
    let shown = match (argument.is_positional(), takes_value) {
        (true, _) => value_name(argument),
        (false, true) => format!("{} {}", names.join(", "), value_name(argument)),
        (false, false) => names.join(", "),
    };
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into()).collect();
    let default = if takes_value && !defaults.is_empty() { format!("`{}`", defaults.join(" ")) } else { String::new() };
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && takes_value)
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let mut meaning = sentence(argument.get_help().map(ToString::to_string));
    if !choices.is_empty() {
        meaning.push_str(&format!(" One of: {}.", choices.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        meaning.push_str(&format!(" Or the environment variable `{}`.", variable.to_string_lossy()));
    }
    vec![format!("`{shown}`"), default, meaning]
}
