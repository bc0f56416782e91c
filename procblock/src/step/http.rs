//! `http`: a request to a server.

use std::time::{Duration, Instant};

use crate::block::{Compiler, Run, placed};
use crate::error::RunError;
use crate::expr::{Expr, Scope, ValueTemplate};
use crate::host::BoxFuture;
use crate::http::{
    Answer, Expect, HttpError, OPTIONS, READ_AS, Request, TIMEOUT_DEFAULT, check_option, read_request, seconds,
};
use crate::load::{Entry, Mark, Node, Problems};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting, same_key};
use crate::step::attributes::{compile_expression, is_attribute};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepFailure, StepResult, StepRun};
use crate::tag::expression_error;
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("url", FieldKind::Text, "`http://…`, `https://…`, or `unix:/PATH/OF/SOCKET:/path`.").required(),
    FieldSpec::new("method", FieldKind::Text, "GET, or POST when there is a body, unless given."),
    FieldSpec::new(
        "query",
        FieldKind::MapOf(&FieldKind::Any),
        "Names and values that are added to the URL's query; a list gives its name several times, null nothing.",
    ),
    FieldSpec::new("headers", FieldKind::MapOf(&FieldKind::Any), "Names and values of headers."),
    FieldSpec::new("body", FieldKind::Text, "Text that is sent."),
    FieldSpec::new("json", FieldKind::Any, "A value that is sent as JSON."),
    FieldSpec::new("form", FieldKind::MapOf(&FieldKind::Any), "Names and values that are sent as a form."),
    FieldSpec::new(
        "user",
        FieldKind::Text,
        "With `password`: basic authentication. A user and password in the URL do the same.",
    ),
    FieldSpec::new(
        "password",
        FieldKind::Text,
        "Better from an option with `secret: true` or from `${env.NAME}` than written here.",
    ),
    FieldSpec::new("token", FieldKind::Text, "Sent as `Authorization: Bearer …`."),
    FieldSpec::new(
        "follow redirects",
        FieldKind::OneOf(&[FieldKind::Integer, FieldKind::Boolean]),
        "How many redirects are followed, 0 to 50; false is 0. Authorization and cookies are not sent to another host.",
    )
    .default("10"),
    FieldSpec::new(
        "size max",
        FieldKind::Size,
        "The largest body taken, uncompressed, at most 1GiB; a larger one is a failure.",
    )
    .default("8MiB"),
    FieldSpec::new("verify", FieldKind::Boolean, "Whether the server's certificate must be a trusted one.")
        .default("true"),
    FieldSpec::new(
        "ca file",
        FieldKind::Path,
        "A PEM file of the authorities that are trusted instead of the system's.",
    ),
    FieldSpec::new(
        "expect",
        FieldKind::OneOf(&[FieldKind::Text, FieldKind::ListOf(&FieldKind::Text)]),
        "Good statuses: `204`, `200-299`, `2xx`, `any` or a list of these; any other is a failure.",
    )
    .default("2xx"),
    FieldSpec::new(
        "as",
        FieldKind::Choice(READ_AS),
        "How the body is read: `auto` is JSON when its content type says so, else text.",
    )
    .default("auto"),
    FieldSpec::new(
        "values",
        FieldKind::MapOf(&FieldKind::Expression),
        "Names in pipe data -> expressions over the answer: `jobs: json.queue.waiting`, `seconds: duration`.",
    ),
    FieldSpec::new("into", FieldKind::Text, "The name in pipe data that gets the answer.").default("http"),
];

/// `http: URL`, or `http: {url, …}`.
pub(super) struct Http;

impl Step for Http {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "http",
            summary: "Sends a request to an HTTP server.",
            text: "The answer goes into pipe data as `http: {status, url, headers, json or body, duration}`, or under the name that \
                   `into` gives; header names are in small letters, `duration` is in seconds. `values` picks parts of it into pipe \
                   data by name, so that `timeseries collect` of a repeated step finds its numbers; what the answer does not have \
                   is null. A status that is not expected, no answer, or a body that is no JSON though it should be, is a failure; \
                   if the list goes on, `http` has the answer all the same, or a null `status` and `error` when there was none. The \
                   step's `timeout` is 30 s unless given, redirects and body included. HTTP/1.1 and HTTP/2; certificates are \
                   checked against the system's. The environment's `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are \
                   followed, except for loopback addresses; a proxy is an `http://` one. No message shows a password, a token or a \
                   URL's query.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[
                Example {
                    yaml: "run:\n  - http: {url: 'http://127.0.0.1:1/health', values: {up: status == 200}}\n    on error: continue\n__return_tag: seen\nseen: {__priority: 900, up: '${up}'}\n",
                    expected: Expected::Result(r#"{"up": false}"#),
                },
                Example {
                    yaml: "run:\n  - http: http://127.0.0.1:1/\n",
                    expected: Expected::Failure("connection refused"),
                },
                Example { yaml: "run:\n  - http: example.org/health\n", expected: Expected::Refused("has no scheme") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let into = Setting::Fixed("http".to_string());
        let Some(entries) = entry.value.entries() else {
            let options = vec![("url", option("url", &entry.value, problems))];
            return Some(Box::new(HttpAction { options, values: Vec::new(), into }));
        };
        let (known, attributes): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| is_field(&entry.key));
        for attribute in attributes {
            let what = format!("\"{}\" is an attribute of the step", attribute.key);
            problems.error(&attribute.mark, what, "write it beside http, not inside");
        }
        let fields = Fields::sort(known.into_iter(), FIELDS, "http", problems);
        let is_known = |entry: &Entry| FIELDS.iter().any(|field| same_key(&entry.key, field.name));
        // A key that is unknown is told already, and may be the one that is missing.
        if !entries.iter().any(|entry| entry.key == "url") && entries.iter().all(is_known) {
            problems.error(&entry.value.mark, "http has no url", "add url: such as https://host/path");
        }
        contradictions(&fields, problems);
        let given = OPTIONS.iter().filter_map(|name| Some((*name, fields.node(name)?)));
        let options = given.map(|(name, node)| (name, option(name, node, problems))).collect();
        let values = fields.node("values").map(|node| values(node, problems)).unwrap_or_default();
        let into = fields.setting("into", problems).unwrap_or(into);
        Some(Box::new(HttpAction { options, values, into }))
    }
}

/// Whether a key may be one of the step's own; what belongs beside the step is told apart from what is unknown.
fn is_field(key: &str) -> bool {
    FIELDS.iter().any(|field| same_key(key, field.name)) || !is_attribute(key)
}

/// Compiles an option; a literal one is checked at once.
fn option(name: &'static str, node: &Node, problems: &mut Problems) -> ValueTemplate {
    let template = ValueTemplate::compile(node, problems);
    if template.is_literal()
        && let Ok(value) = template.render(&Map::new())
        && let Err(error) = check_option(name, &value)
    {
        problems.error(&node.mark, format!("{name} {}", error.what), error.remedy);
    }
    template
}

fn contradictions(fields: &Fields<'_>, problems: &mut Problems) {
    for (first, second) in [("body", "json"), ("body", "form"), ("json", "form"), ("user", "token")] {
        if let (Some(_), Some(entry)) = (fields.entry(first), fields.entry(second)) {
            problems.error(&entry.mark, format!("http has both {first} and {second}"), "keep one of the two");
        }
    }
    if let (Some(entry), None) = (fields.entry("password"), fields.entry("user")) {
        problems.error(&entry.mark, "http has a password but no user", "add user: NAME");
    }
}

/// A part of the answer that goes into pipe data.
struct Picked {
    name: String,
    expression: Expr,
    mark: Mark,
}

fn values(node: &Node, problems: &mut Problems) -> Vec<Picked> {
    let read = |entry: &Entry| {
        let expression = compile_expression(&entry.value, problems)?;
        Some(Picked { name: entry.key.clone(), expression, mark: entry.value.mark.clone() })
    };
    node.entries().unwrap_or_default().iter().filter_map(read).collect()
}

struct HttpAction {
    options: Vec<(&'static str, ValueTemplate)>,
    values: Vec<Picked>,
    into: Setting<String>,
}

impl HttpAction {
    fn request(&self, step: &StepRun<'_>) -> Result<Request, RunError> {
        let mut options = Map::new();
        for (name, template) in &self.options {
            options.insert((*name).into(), template.render(&*step.run)?);
        }
        let request = read_request(&options, &step.source.folder);
        let mut request = request.map_err(|error| RunError::failed(error.to_string()))?;
        // The default of other repeated steps follows their interval; a request has its own.
        let given = step.timeout.filter(|_| step.attributes.timeout.is_some());
        request.timeout = given.unwrap_or(TIMEOUT_DEFAULT);
        Ok(request)
    }

    async fn send(&self, step: &StepRun<'_>) -> StepResult {
        let request = self.request(step)?;
        let into = self.into.get(&*step.run)?;
        let started = Instant::now();
        let sent = step.run.instance.http.send(&request, &step.run.stop).await;
        let (found, error) = match sent {
            Ok(answer) => judge(&request, &answer),
            Err(error) => (no_answer(&request, &error, started.elapsed()), Some(error)),
        };
        let mut result = self.pick(&found, step.run)?;
        result.insert(into, Value::Object(found));
        match error {
            None => Ok(result),
            Some(error) => Err(StepFailure { error: Box::new(error.into()), result }),
        }
    }

    fn pick(&self, found: &Map, run: &Run) -> Result<Map, RunError> {
        let scope = Over { found, run };
        let pick = |picked: &Picked| {
            let value = picked.expression.eval(&scope);
            let value = value.map_err(|error| placed(expression_error(&error), &picked.mark))?;
            Ok((picked.name.clone(), value))
        };
        self.values.iter().map(pick).collect()
    }
}

/// The answer as data, and why it is no good one.
fn judge(request: &Request, answer: &Answer) -> (Map, Option<HttpError>) {
    let expect = request.expect.as_ref().map_or_else(|| Expect::default().check(answer), |expect| expect.check(answer));
    match (answer.to_map(request.read_as), expect) {
        (Ok(found), expect) => (found, expect.err()),
        (Err(error), expect) => (answer.to_text_map(), Some(expect.err().unwrap_or(error))),
    }
}

fn no_answer(request: &Request, error: &HttpError, took: Duration) -> Map {
    let mut found = Map::new();
    found.insert("status".into(), error.status.into());
    found.insert("url".into(), request.url().into());
    found.insert("error".into(), error.text.clone().into());
    found.insert("duration".into(), seconds(took));
    found
}

/// An answer over the names of its run.
struct Over<'a> {
    found: &'a Map,
    run: &'a Run,
}

impl Scope for Over<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            // Of an answer that has none: not what an earlier step left under that name.
            "status" | "url" | "headers" | "json" | "body" | "duration" | "error" => self.found.get(name),
            other => self.run.get(other),
        }
    }
}

impl StepAction for HttpAction {
    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move { self.send(step).await })
    }
}
