//! `timeseries collect`: numbers of a repeated step's results go to round-robin files and graphs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use unidist::timeseries::{
    Archive, Consolidation, FieldSpec as SeriesField, FieldType, GraphMethod, GraphSpec, SeriesSpec, safe_key,
};

use crate::block::{Compiler, Run};
use crate::error::RunError;
use crate::expr::Scope;
use crate::happenings::Happening;
use crate::load::{Node, Problems, Source};
use crate::series::{Series, irreplaceable};
use crate::spec::{FieldKind, FieldSpec, Fields, FromValue, Setting, check_kind};
use crate::value::{Map, Value, kind_name};

const TYPES: &[&str] = &["GAUGE", "COUNTER", "DERIVE", "ABSOLUTE"];
const METHODS: &[&str] = &["STACK", "AREA", "LINE"];
const CONSOLIDATIONS: &[&str] = &["AVERAGE", "MIN", "MAX", "LAST"];

const SERIES_FIELDS: &[FieldSpec] = &[
    FieldSpec::new(
        "type",
        FieldKind::Choice(TYPES),
        "GAUGE keeps the number, COUNTER, DERIVE and ABSOLUTE its rate per second.",
    )
    .default("GAUGE"),
    FieldSpec::new(
        "heartbeat",
        FieldKind::Duration,
        "Without a sample for so long the number is unknown; twice the interval, at least 120 s, unless given.",
    ),
    FieldSpec::new("min", FieldKind::Number, "Lower numbers are unknown."),
    FieldSpec::new("max", FieldKind::Number, "Higher numbers are unknown."),
    FieldSpec::new("range_bottom", FieldKind::Any, "The original's word for `min`; `U` is none."),
    FieldSpec::new("range_top", FieldKind::Any, "The original's word for `max`; `U` is none."),
];

const ARCHIVE_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("consolidation", FieldKind::Choice(CONSOLIDATIONS), "How several samples become one row.")
        .default("AVERAGE"),
    FieldSpec::new("steps", FieldKind::Integer, "How many intervals one row covers.").default("1"),
    FieldSpec::new("rows", FieldKind::Integer, "How many rows are kept.").required(),
];

const GRAPH_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("path", FieldKind::Path, "Where it is written: .png or .svg; `${node}` and `${key}` are filled in.")
        .required(),
    FieldSpec::new("title", FieldKind::Text, "Above it; `${node}` and `${key}` are filled in."),
    FieldSpec::new(
        "fields",
        FieldKind::ListOf(&FieldKind::Text),
        "Which fields, in this order; all of them unless given.",
    ),
    FieldSpec::new("method", FieldKind::Choice(METHODS), "How they are drawn.").default("STACK"),
    FieldSpec::new("interval", FieldKind::Duration, "One point for so much data."),
    FieldSpec::new("period", FieldKind::Duration, "How far back it reaches; 600 s unless given."),
    FieldSpec::new("vertical label", FieldKind::Text, "Beside the vertical axis."),
    FieldSpec::new("width", FieldKind::Integer, "Of the canvas, in pixels.").default("400"),
    FieldSpec::new("height", FieldKind::Integer, "Of the canvas, in pixels.").default("100"),
    FieldSpec::new("lower limit", FieldKind::Number, "The axis begins here, or lower if a value does.").default("0"),
    FieldSpec::new("upper limit", FieldKind::Number, "The axis reaches at least so far."),
    FieldSpec::new("rigid", FieldKind::Boolean, "The axis ends at its limits even if a value does not.")
        .default("false"),
];

/// What `timeseries collect` may hold.
pub const COLLECT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("path", FieldKind::Path, "The round-robin file; `${node}` and `${key}` are filled in.").required(),
    FieldSpec::new("interval", FieldKind::Duration, "Between samples, whole seconds; the step's period unless given."),
    FieldSpec::new(
        "fields",
        FieldKind::OneOf(&[
            FieldKind::MapOf(&FieldKind::OneOf(&[FieldKind::Mapping(SERIES_FIELDS), FieldKind::Nothing])),
            FieldKind::ListOf(&FieldKind::Text),
        ]),
        "Which entries of the result are stored: name -> {type, …}, or a list of names.",
    )
    .required(),
    FieldSpec::new(
        "key",
        FieldKind::Text,
        "An entry of the result that maps series to {field: value}: one file for each.",
    ),
    FieldSpec::new(
        "archives",
        FieldKind::ListOf(&FieldKind::Mapping(ARCHIVE_FIELDS)),
        "What is kept; the original's five unless given.",
    ),
    FieldSpec::new(
        "graph",
        FieldKind::OneOf(&[FieldKind::ListOf(&FieldKind::Mapping(GRAPH_FIELDS)), FieldKind::Mapping(GRAPH_FIELDS)]),
        "Pictures that are redrawn after each sample.",
    ),
    FieldSpec::new(
        "rrdcached",
        FieldKind::Text,
        "The address of a running rrdcached that stores the samples: `unix:/PATH` or `HOST:PORT`.",
    ),
];

/// The most series of one `key`: names come from results.
const KEYS_MAX: usize = 10_000;

/// One `timeseries collect` of a step.
pub struct Collect {
    path: Setting<String>,
    key: Option<String>,
    interval: Duration,
    fields: Vec<SeriesField>,
    archives: Vec<Archive>,
    rrdcached: Option<String>,
    graphs: Vec<Graph>,
    source: Arc<Source>,
    open: Mutex<HashMap<String, Arc<Open>>>,
    /// The failure of the last result, so that one that stays is told once.
    told: Mutex<Option<String>>,
}

struct Graph {
    path: Setting<String>,
    title: Option<Setting<String>>,
    spec: GraphSpec,
}

/// A series whose names are filled in.
struct Open {
    series: Series,
    graphs: Vec<Arc<GraphSpec>>,
}

impl Collect {
    /// Reads one mapping or a list of them.
    pub(super) fn compile_all(node: &Node, every: Duration, compiler: &mut Compiler) -> Vec<Collect> {
        let nodes = node.items().unwrap_or(std::slice::from_ref(node));
        nodes.iter().filter_map(|node| Collect::compile(node, every, compiler)).collect()
    }

    fn compile(node: &Node, every: Duration, compiler: &mut Compiler) -> Option<Self> {
        let problems = &mut compiler.problems;
        let fields = Fields::read(node, COLLECT_FIELDS, "timeseries collect", problems);
        let interval = fields.literal("interval", problems).unwrap_or(every);
        if interval < Duration::from_secs(1) || interval.subsec_nanos() != 0 {
            let at = fields.node("interval").unwrap_or(node);
            problems.error(
                &at.mark,
                "the interval of a series is whole seconds",
                "add interval: 1s or more, or make the step repeat so",
            );
        }
        let names = fields.node("fields").map(|node| read_fields(node, problems))?;
        let archives = fields.node("archives").map(|node| read_archives(node, problems)).unwrap_or_default();
        let graph_nodes =
            fields.node("graph").map_or(&[][..], |node| node.items().unwrap_or(std::slice::from_ref(node)));
        let graphs = graph_nodes.iter().filter_map(|node| Graph::compile(node, &names, problems)).collect();
        if let (Some(_), Some(node)) = (fields.node("key"), fields.node("path"))
            && node.as_text().is_some_and(|text| !names_key(text))
        {
            let what = "all series of this key would share one file: the path has no ${key}";
            problems.error(&node.mark, what, "put ${key} into the path, such as disks/${key}.rrd");
        }
        let path = fields.setting("path", problems)?;
        compiler.series_paths.extend(fields.node("path").and_then(Node::as_text).map(str::to_string));
        let collect = Collect {
            path,
            key: fields.literal("key", &mut compiler.problems),
            interval,
            fields: names,
            archives,
            rrdcached: fields.literal("rrdcached", &mut compiler.problems),
            graphs,
            source: Arc::clone(&node.mark.source),
            open: Mutex::default(),
            told: Mutex::default(),
        };
        collect.check(node, &mut compiler.problems);
        Some(collect)
    }

    /// Refuses at load what procblock-series would refuse at the first sample.
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.interval < Duration::from_secs(1) {
            return;
        }
        let spec = SeriesSpec {
            path: "/check.rrd".into(),
            interval: self.interval,
            fields: self.fields.clone(),
            archives: self.archives.clone(),
            rrdcached: self.rrdcached.clone(),
        };
        if let Err(text) = spec.validate() {
            problems.error(&node.mark, format!("timeseries collect: {text}"), "");
        }
        for graph in &self.graphs {
            let spec = GraphSpec { path: "/check.png".into(), ..graph.spec.clone() };
            if let Err(text) = spec.validate() {
                problems.error(&node.mark, format!("graph: {text}"), "");
            }
        }
    }

    /// Tells of files that can't be written, before the first sample: told at start, they can be mended in time.
    pub fn announce(&self, run: &Run) {
        if self.rrdcached.is_some() {
            return;
        }
        let names = Names { key: "key".into(), node: safe_key(&run.instance.node).into(), run };
        let folder = run.folder_of(&self.source);
        if let Ok(path) = self.path.get(&names) {
            run.instance.series.announce(&folder.join(path));
        }
        for graph in &self.graphs {
            if let Ok(path) = graph.path.get(&names).map(|path| folder.join(path))
                && let Some(why) = irreplaceable(&path)
            {
                log::warn!("the graph {} can't be drawn: {why}", path.display());
            }
        }
    }

    /// Hands the numbers of a result over to be stored and drawn. Does not wait; mistakes are logged.
    pub fn store(&self, run: &Run, result: &Map) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let failure = self.store_at(run, result, time).err().map(|error| error.to_string());
        let mut told = self.told.lock();
        if let Some(text) = failure.as_ref().filter(|_| *told != failure) {
            log::error!("timeseries collect: {text}");
        }
        *told = failure;
    }

    fn store_at(&self, run: &Run, result: &Map, time: f64) -> Result<(), RunError> {
        let Some(key) = &self.key else { return self.store_one(run, "", result, time) };
        match result.get(key) {
            Some(Value::Object(entries)) => {
                // One that is wrong costs the others nothing.
                let failures: Vec<RunError> = entries
                    .iter()
                    .filter_map(|(name, values)| match values {
                        Value::Object(values) => self.store_one(run, name, values, time).err(),
                        other => {
                            let text = format!("{key}.{name} is a {}, not a mapping of fields", kind_name(other));
                            Some(RunError::failed(text))
                        }
                    })
                    .collect();
                match (failures.first(), failures.len()) {
                    (None, _) => Ok(()),
                    (Some(first), 1) => Err(first.clone()),
                    (Some(first), count) => Err(RunError::failed(format!("{first} (and {} more)", count - 1))),
                }
            }
            Some(other) => {
                Err(RunError::failed(format!("the entry {key} is a {}, not a mapping of series", kind_name(other))))
            }
            None => {
                let near = crate::load::nearest(key, result.keys().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                Err(RunError::failed(format!("the result has no entry {key}{hint}")))
            }
        }
    }

    fn store_one(&self, run: &Run, key: &str, values: &Map, time: f64) -> Result<(), RunError> {
        let open = self.open(run, key)?;
        let client = &run.instance.series;
        client.store_result(&open.series, time, values);
        run.instance.happenings.tell(Happening::Sampled(&open.series));
        for graph in &open.graphs {
            client.graph(&open.series, Arc::clone(graph), time);
        }
        Ok(())
    }

    fn open(&self, run: &Run, key: &str) -> Result<Arc<Open>, RunError> {
        let mut known = self.open.lock();
        if let Some(open) = known.get(key) {
            return Ok(Arc::clone(open));
        }
        if known.len() >= KEYS_MAX {
            return Err(RunError::failed(format!("more than {KEYS_MAX} series under one key; {key} is not stored")));
        }
        let open = Arc::new(self.fill_in(run, key)?);
        known.insert(key.to_string(), Arc::clone(&open));
        Ok(open)
    }

    fn fill_in(&self, run: &Run, key: &str) -> Result<Open, RunError> {
        let for_path = Names { key: safe_key(key).into(), node: safe_key(&run.instance.node).into(), run };
        let for_text = Names { key: key.into(), node: run.instance.node.clone().into(), run };
        let folder = run.folder_of(&self.source);
        let spec = SeriesSpec {
            path: folder.join(self.path.get(&for_path)?),
            interval: self.interval,
            fields: self.fields.clone(),
            archives: self.archives.clone(),
            rrdcached: self.rrdcached.clone(),
        };
        let mut graphs = Vec::new();
        for graph in &self.graphs {
            let title = graph.title.as_ref().map(|title| title.get(&for_text)).transpose()?;
            graphs.push(Arc::new(GraphSpec {
                path: folder.join(graph.path.get(&for_path)?),
                title: title.unwrap_or_default(),
                ..graph.spec.clone()
            }));
        }
        let series = run.instance.series.declare(spec).map_err(|error| RunError::failed(error.to_string()))?;
        Ok(Open { series, graphs })
    }

    /// The files it has stored to so far, each with its graphs.
    pub fn paths(&self) -> Vec<(String, Vec<String>)> {
        let show = |path: &std::path::Path| path.display().to_string();
        let open = self.open.lock();
        let row = |open: &Arc<Open>| {
            (show(&open.series.spec().path), open.graphs.iter().map(|graph| show(&graph.path)).collect())
        };
        let mut paths: Vec<(String, Vec<String>)> = open.values().map(row).collect();
        paths.sort();
        paths
    }
}

impl Graph {
    fn compile(node: &Node, names: &[SeriesField], problems: &mut Problems) -> Option<Self> {
        if !check_kind(node, &FieldKind::Mapping(GRAPH_FIELDS), "graph", problems) {
            return None;
        }
        let fields = Fields::read(node, GRAPH_FIELDS, "graph", problems);
        let shown = fields.literal("fields", problems).unwrap_or_default();
        let mut spec = GraphSpec { fields: shown, ..GraphSpec::default() };
        for name in &spec.fields {
            if !names.iter().any(|field| field.name == *name) {
                let near = crate::load::nearest(name, names.iter().map(|field| field.name.as_str()));
                let remedy = near.map_or("add it to fields".to_string(), |near| format!("did you mean \"{near}\"?"));
                problems.error(
                    &node.mark,
                    format!("the graph shows the field \"{name}\", which is not collected"),
                    remedy,
                );
            }
        }
        let method = fields.literal::<String>("method", problems);
        spec.method = method.and_then(|word| GraphMethod::from_name(&word)).unwrap_or_default();
        spec.interval = fields.literal("interval", problems);
        spec.period = fields.literal("period", problems);
        spec.vertical_label = fields.literal("vertical label", problems).unwrap_or_default();
        spec.width = pixels(&fields, "width", problems).unwrap_or(spec.width);
        spec.height = pixels(&fields, "height", problems).unwrap_or(spec.height);
        spec.lower_limit = fields.literal("lower limit", problems).or(spec.lower_limit);
        spec.upper_limit = fields.literal("upper limit", problems);
        spec.rigid = fields.literal("rigid", problems).unwrap_or(spec.rigid);
        Some(Graph { path: fields.setting("path", problems)?, title: fields.setting("title", problems), spec })
    }
}

/// Whether a path differs from key to key.
fn names_key(path: &str) -> bool {
    path.split("${").skip(1).any(|rest| rest.split('}').next().is_some_and(|inside| inside.contains("key")))
}

fn pixels(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<u32> {
    fields.literal::<i64>(name, problems).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn read_fields(node: &Node, problems: &mut Problems) -> Vec<SeriesField> {
    if let Some(items) = node.items() {
        let names = items.iter().map(|item| crate::value::to_text(&item.to_value()));
        return names.map(SeriesField::gauge).collect();
    }
    let entries = node.entries().unwrap_or_default();
    entries.iter().map(|entry| read_field(&entry.key, &entry.value, problems)).collect()
}

fn read_field(name: &str, node: &Node, problems: &mut Problems) -> SeriesField {
    let mut field = SeriesField::gauge(name);
    if node.is_null() {
        return field;
    }
    let fields = Fields::read(node, SERIES_FIELDS, &format!("the field {name}"), problems);
    let kind = fields.literal::<String>("type", problems);
    field.kind = kind.and_then(|word| FieldType::from_name(&word)).unwrap_or_default();
    field.heartbeat = fields.literal("heartbeat", problems);
    field.min = fields.literal("min", problems).or_else(|| range(&fields, "range_bottom"));
    field.max = fields.literal("max", problems).or_else(|| range(&fields, "range_top"));
    field
}

/// The original's bounds: a number, or `U` for none.
fn range(fields: &Fields<'_>, name: &str) -> Option<f64> {
    f64::from_value(&fields.node(name)?.to_value()).ok()
}

fn read_archives(node: &Node, problems: &mut Problems) -> Vec<Archive> {
    let read = |node: &Node, problems: &mut Problems| {
        let fields = Fields::read(node, ARCHIVE_FIELDS, "an archive", problems);
        let number = |name: &str, problems: &mut Problems| {
            fields.literal::<i64>(name, problems).map(|number| u32::try_from(number).unwrap_or(0))
        };
        let consolidation = fields.literal::<String>("consolidation", problems);
        let consolidation =
            consolidation.and_then(|word| Consolidation::from_name(&word)).unwrap_or(Consolidation::Average);
        Some(Archive::new(consolidation, number("steps", problems).unwrap_or(1), number("rows", problems)?))
    };
    node.items().unwrap_or_default().iter().filter_map(|node| read(node, problems)).collect()
}

/// `key` and `node` over the names of the run.
struct Names<'a> {
    key: Value,
    node: Value,
    run: &'a Run,
}

impl Scope for Names<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "key" => Some(&self.key),
            "node" => Some(&self.node),
            other => self.run.get(other),
        }
    }

    fn names(&self) -> Vec<&str> {
        self.run.names().into_iter().chain(["key", "node"]).collect()
    }
}
