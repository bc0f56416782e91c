//! `rpc`: a procedure of another instance.

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::http::{TIMEOUT_DEFAULT, check_option};
use crate::load::{Entry, Problems};
use crate::rpc::{Call, OPTIONS};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("url", FieldKind::Text, "The address of the server, under which `rpc/NAME` lies.").required(),
    FieldSpec::new("name", FieldKind::Text, "The procedure's name.").required(),
    FieldSpec::new("args", FieldKind::MapOf(&FieldKind::Any), "Its arguments."),
    FieldSpec::new("token", FieldKind::Text, "Sent as `Authorization: Bearer …`."),
    FieldSpec::new("user", FieldKind::Text, "With `password`: basic authentication."),
    FieldSpec::new("password", FieldKind::Text, "Better from an option with `secret: true` than written here."),
    FieldSpec::new("verify", FieldKind::Boolean, "Whether the server's certificate must be a trusted one.")
        .default("true"),
    FieldSpec::new("ca file", FieldKind::Path, "A PEM file of the authorities that are trusted."),
    FieldSpec::new(
        "json rpc",
        FieldKind::Boolean,
        "JSON-RPC 2.0; then `url` is that of the service, and a result that is no mapping is under `result`.",
    )
    .default("false"),
    FieldSpec::new("into", FieldKind::Text, "The name in pipe data that gets the reply, instead of its keys."),
];

/// `rpc: {url, name, args}`.
pub(super) struct Rpc;

impl Step for Rpc {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "rpc",
            summary: "Calls a procedure that another instance serves.",
            text: "The keys of the reply are merged into pipe data, as those that a script returns. An answer that says that the \
                   call failed is a failure. The step's `timeout` is 30 s unless given.",
            value: FieldKind::Mapping(FIELDS),
            examples: &[
                Example {
                    yaml: "run:\n  - rpc: {url: 'http://127.0.0.1:1', name: add, args: {a: 1}}\n",
                    expected: Expected::Failure("connection refused"),
                },
                Example {
                    yaml: "run:\n  - rpc: {url: 'http://127.0.0.1:1'}\n",
                    expected: Expected::Refused("add name: text"),
                },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let fields = Fields::read(&entry.value, FIELDS, "rpc", problems);
        let template = |name: &'static str, problems: &mut Problems| {
            let node = fields.node(name)?;
            let template = ValueTemplate::compile(node, problems);
            if let (true, Ok(value)) = (template.is_literal(), template.render(&Map::new()))
                && let Err(error) = check_option(name, &value)
            {
                problems.error(&node.mark, format!("{name} {}", error.what), error.remedy);
            }
            Some(template)
        };
        let action = RpcAction {
            url: template("url", problems)?,
            name: fields.setting("name", problems)?,
            arguments: fields.node("args").map(|node| ValueTemplate::compile(node, problems)),
            options: OPTIONS.iter().filter_map(|name| Some((*name, template(name, problems)?))).collect(),
            into: fields.setting("into", problems),
        };
        Some(Box::new(action))
    }
}

struct RpcAction {
    url: ValueTemplate,
    name: Setting<String>,
    arguments: Option<ValueTemplate>,
    options: Vec<(&'static str, ValueTemplate)>,
    into: Option<Setting<String>>,
}

impl RpcAction {
    async fn call(&self, step: &StepRun<'_>) -> StepResult {
        let run = &*step.run;
        let arguments = match self.arguments.as_ref().map(|arguments| arguments.render(run)).transpose()? {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                let kind = crate::value::kind_name(&other);
                return Err(RunError::failed(format!("args is a {kind}, not a mapping")).into());
            }
        };
        let mut options = Map::new();
        for (name, template) in &self.options {
            options.insert((*name).into(), template.render(run)?);
        }
        let url = crate::value::to_text(&self.url.render(run)?);
        let call = Call::read(&url, &self.name.get(run)?, &arguments, &options, &step.source.folder);
        let mut call = call.map_err(RunError::failed)?;
        // The default of other repeated steps follows their interval; a request has its own.
        let given = step.timeout.filter(|_| step.attributes.timeout.is_some());
        call.set_timeout(run.timeout(given.or(Some(TIMEOUT_DEFAULT))).unwrap_or(TIMEOUT_DEFAULT));
        let reply = call.send(&run.instance.http, &run.stop).await.map_err(RunError::from)?;
        match &self.into {
            Some(into) => Ok(Map::from_iter([(into.get(run)?, Value::Object(reply))])),
            None => Ok(reply),
        }
    }
}

impl StepAction for RpcAction {
    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(self.call(step))
    }
}
