//! Drawing a series, in memory or to a file that appears whole.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rrd::ops::graph::elements::{
    Area, AreaColor, CDef, ColorWithLegend, Def, GPrint, GraphElement, Legend, Line, VDef, VarName,
};
use rrd::ops::graph::props::{
    ColorTag, FontParams, FontTag, GraphProps, ImageFormat, Labels, Limits, Misc, Size, TimeRange, Zoom,
};
use rrd::ops::graph::{Color, graph};

use super::error::SeriesError;
use super::graph_spec::{GraphFormat, GraphMethod, GraphSpec};
use super::read::{time_stamp, way};
use super::spec::Consolidation;
use super::structure::Definition;
use super::{Window, field_name_in_file};

/// librrd crashes under concurrent graphs (rrdtool-1.x issue 867).
static DRAWING: Mutex<()> = Mutex::new(());

/// librrd keeps a legend in 200 bytes (FMT_LEG_LEN in rrd_graph.h); letters of up to four bytes and a number fit.
const LEGEND_LETTERS_MAX: usize = 24;

/// The newest number is looked for in so many samples.
const NEWEST_STEPS: i64 = 10;

/// Longer titles would be cut by the picture's edge anyway.
const TITLE_LETTERS_MAX: usize = 200;

/// Everything but the fields, as black of that strength on white, or white on the dark one: quiet, so that the numbers stand out. The grid lies
/// over the areas.
const LOOK: [(ColorTag, u8); 6] = [
    (ColorTag::Grid, 12),
    (ColorTag::MGrid, 34),
    (ColorTag::Font, 220),
    (ColorTag::Axis, 120),
    (ColorTag::Frame, 120),
    (ColorTag::Arrow, 120),
];

/// What dark pictures are drawn on.
const DARK: (u8, u8, u8) = (0x16, 0x19, 0x1d);

/// The fields' colors in turn, told apart by people with color-blind eyes too (after Okabe and Ito, 2008).
const COLORS: [(u8, u8, u8); 12] = [
    (0x2f, 0x7e, 0xd8),
    (0xe6, 0x9f, 0x00),
    (0x00, 0x9e, 0x73),
    (0xcc, 0x79, 0xa7),
    (0xd5, 0x5e, 0x00),
    (0x56, 0xb4, 0xe9),
    (0x8c, 0x6b, 0xb1),
    (0xb8, 0xa8, 0x00),
    (0x7f, 0x8c, 0x8d),
    (0x14, 0x5a, 0x32),
    (0x8e, 0x44, 0x2e),
    (0x1b, 0x26, 0x31),
];

/// The picture of a window of a series as bytes. One picture is drawn at a time in a process; blocks on that and on
/// the disk. Titles and names are plain text whatever they hold.
///
/// # Errors
/// `Missing` without a file, `Invalid` for a wrong graph or window or a field that the file does not hold, `Library`
/// when librrd refuses.
pub fn draw(series: &Path, spec: &GraphSpec, window: &Window, format: GraphFormat) -> Result<Vec<u8>, SeriesError> {
    spec.validate().map_err(|text| SeriesError::invalid(&spec.path, text))?;
    let definition = Definition::read(series)?;
    if window.to <= window.from {
        let text = format!("the window ends at {} but begins at {}", window.to, window.from);
        return Err(SeriesError::invalid(series, text));
    }
    let fields = chosen_fields(series, spec, &definition)?;
    let mut elements = Vec::new();
    for (index, (_, column)) in fields.iter().enumerate() {
        elements.extend(data(series, index, column, spec)?);
        elements.extend(newest(series, index, column, newest_window(&definition, spec.width, window))?);
    }
    elements.extend(shapes(spec, &fields)?);
    let properties = properties(spec, window)?;
    let image = match format {
        GraphFormat::Png => ImageFormat::Png,
        GraphFormat::Svg => ImageFormat::Svg,
    };
    let _one_at_a_time = DRAWING.lock();
    let (bytes, _) = graph(image, &properties, &elements).map_err(SeriesError::library("draw", series))?;
    Ok(bytes)
}

/// Draws the spec's period up to `now` (seconds since 1970) to its path: missing folders are created, and the file is
/// replaced at once, so that no reader sees half a picture. Blocks as [`draw`].
///
/// # Errors
/// As [`draw`], and `System` when the file can't be written.
pub fn draw_to_file(series: &Path, spec: &GraphSpec, now: i64) -> Result<(), SeriesError> {
    let step = Definition::read(series)?.step;
    let period = spec.period.map_or_else(|| (step * 120).max(600), |period| period.as_secs());
    let window = Window::new(now.saturating_sub(i64::try_from(period).unwrap_or(i64::MAX)), now);
    let bytes = draw(series, spec, &window, spec.format())?;
    let path = &spec.path;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(SeriesError::system("create the folder", folder))?;
    }
    let part = super::file::beside(path, ".part");
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        SeriesError::system("write", path)(error)
    })
}

/// The fields to draw, as the user names them and as the file does.
fn chosen_fields(
    series: &Path,
    spec: &GraphSpec,
    definition: &Definition,
) -> Result<Vec<(String, String)>, SeriesError> {
    let known: Vec<&str> = definition.columns.iter().map(|column| column.name.as_str()).collect();
    if spec.fields.is_empty() {
        return Ok(known.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect());
    }
    let mut chosen = Vec::new();
    for field in &spec.fields {
        let column = field_name_in_file(field);
        if !known.contains(&column.as_str()) {
            let text = format!("there is no field {field:?} for the graph; the file holds {}", known.join(", "));
            return Err(SeriesError::invalid(series, text));
        }
        chosen.push((field.clone(), column));
    }
    Ok(chosen)
}

/// The numbers of one field: `vN`, its sum with the fields before it `sN`, and its average and largest.
fn data(series: &Path, index: usize, column: &str, spec: &GraphSpec) -> Result<Vec<GraphElement>, SeriesError> {
    let step = spec.interval.and_then(|interval| u32::try_from(interval.as_secs()).ok());
    let sum = match index {
        0 => "v0".to_owned(),
        // Unknown counts as nothing in a sum, but a sum of unknowns is unknown.
        _ => format!("s{},v{index},ADDNAN", index - 1),
    };
    let mut elements = vec![
        GraphElement::Def(Def {
            var_name: name("v", index, series)?,
            rrd: escaped(series),
            ds_name: column.to_owned(),
            consolidation_fn: way(Consolidation::Average),
            step,
            start: None,
            end: None,
            reduce: None,
        }),
        GraphElement::CDef(CDef { var_name: name("s", index, series)?, rpn: sum }),
    ];
    for (letter, what) in [("a", "AVERAGE"), ("m", "MAXIMUM")] {
        let rpn = format!("v{index},{what}");
        elements.push(GraphElement::VDef(VDef { var_name: name(letter, index, series)?, rpn }));
    }
    Ok(elements)
}

/// Where the newest number of a window is looked for: what is drawn sums up several samples in each point. It begins and
/// ends with a point of the picture, because librrd refuses less than a whole one and leaves out what is behind the last
/// (rrd_reduce_data in rrd_graph.c).
fn newest_window(definition: &Definition, width: u32, window: &Window) -> Window {
    let step = i64::try_from(definition.step).unwrap_or(i64::MAX).max(1);
    let pixel = window.to.saturating_sub(window.from) / i64::from(width).max(1);
    let point = step.saturating_mul((pixel.saturating_add(step - 1) / step).max(1));
    let newest = window.to.min(definition.last_update);
    let before = newest.saturating_sub(newest.rem_euclid(point));
    // Behind the newest sample nothing is known; within a file the next point would be outside of the window.
    let end = if newest == definition.last_update { before.saturating_add(point) } else { before };
    let start = newest.saturating_sub(step.saturating_mul(NEWEST_STEPS)).max(window.from);
    let start = start.saturating_sub(start.rem_euclid(point));
    Window::new(start.min(end.saturating_sub(point)), end)
}

/// The newest known number of a field as it was stored, `lN`.
fn newest(series: &Path, index: usize, column: &str, window: Window) -> Result<[GraphElement; 2], SeriesError> {
    let def = GraphElement::Def(Def {
        var_name: name("n", index, series)?,
        rrd: escaped(series),
        ds_name: column.to_owned(),
        consolidation_fn: way(Consolidation::Average),
        step: Some(1),
        start: Some(time_stamp(window.from)),
        end: Some(time_stamp(window.to)),
        // librrd sums up to a point each pixel whatever the step is.
        reduce: Some(way(Consolidation::Last)),
    });
    let last = VDef { var_name: name("l", index, series)?, rpn: format!("n{index},LAST") };
    Ok([def, GraphElement::VDef(last)])
}

/// Areas and lines with a legend line for each field, and the time of the last sample.
fn shapes(spec: &GraphSpec, fields: &[(String, String)]) -> Result<Vec<GraphElement>, SeriesError> {
    let series = &spec.path;
    let width = fields.iter().map(|(field, _)| plain(field, LEGEND_LETTERS_MAX).chars().count()).max().unwrap_or(0);
    // Printed as a time without a time in it, because a COMMENT can't end its line through this crate.
    let header = format!("  {:width$}        Last     Average     Maximum\\l:strftime", "");
    let mut elements = vec![GraphElement::GPrint(GPrint { var_name: name("l", 0, series)?, format: header })];
    for (index, (field, _)) in fields.iter().enumerate() {
        elements.push(shape(spec, index)?);
        let label = format!("{:width$}", plain(field, LEGEND_LETTERS_MAX)).replace('%', "%%").replace(':', "\\:");
        for (letter, format) in [("l", "%8.2lf%s"), ("a", "%8.2lf%s"), ("m", "%8.2lf%s\\l")] {
            let format = if letter == "l" { format!("{label} {format}") } else { format.to_owned() };
            elements.push(GraphElement::GPrint(GPrint { var_name: name(letter, index, series)?, format }));
        }
    }
    let outline = match spec.method {
        GraphMethod::Stack => "s",
        GraphMethod::Area | GraphMethod::Line => "v",
    };
    for index in (0..fields.len()).filter(|_| spec.method != GraphMethod::Line) {
        elements.push(line(1.0, name(outline, index, series)?, darker(color(spec, index)), None));
    }
    let format = "Last sample %Y-%m-%d %H\\:%M\\:%S\\r:strftime".to_owned();
    elements.push(GraphElement::GPrint(GPrint { var_name: name("l", 0, series)?, format }));
    Ok(elements)
}

/// The area or line of one field. Its legend is only the colored box: librrd reads backslashes in legends, not in
/// the formats behind it.
fn shape(spec: &GraphSpec, index: usize) -> Result<GraphElement, SeriesError> {
    let value = name("v", index, &spec.path)?;
    let color = color(spec, index);
    if spec.method == GraphMethod::Line {
        return Ok(line(1.5, value, color, Some(" ".into())));
    }
    let alpha = (spec.method == GraphMethod::Area).then_some(0x80);
    let color = AreaColor::Color(Color { alpha, ..color });
    Ok(GraphElement::Area(Area {
        value,
        color: Some(ColorWithLegend { color, legend: Some(" ".into()) }),
        stack: spec.method == GraphMethod::Stack && index > 0,
        skip_scale: false,
    }))
}

fn line(width: f64, value: VarName, color: Color, legend: Option<Legend>) -> GraphElement {
    let color = Some(ColorWithLegend { color, legend });
    GraphElement::Line(Line { width, value, color, stack: false, skip_scale: false, dashes: None })
}

fn properties(spec: &GraphSpec, window: &Window) -> Result<GraphProps, SeriesError> {
    let text = |text: &str| Some(plain(text, TITLE_LETTERS_MAX)).filter(|text| !text.trim().is_empty());
    let zoom = Zoom::new(spec.zoom).map_err(|error| SeriesError::invalid(&spec.path, error.to_string()))?;
    Ok(GraphProps {
        time_range: TimeRange {
            start: Some(time_stamp(window.from)),
            end: Some(time_stamp(window.to)),
            step_seconds: spec.interval.and_then(|interval| u32::try_from(interval.as_secs()).ok()),
        },
        labels: Labels { title: text(&spec.title), vertical_label: text(&spec.vertical_label) },
        size: Size { width: Some(spec.width), height: Some(spec.height), ..Size::default() },
        limits: Limits {
            lower_limit: spec.lower_limit,
            upper_limit: spec.upper_limit,
            rigid: spec.rigid,
            ..Limits::default()
        },
        misc: Misc {
            zoom: Some(zoom),
            border: Some(0),
            slope_mode: true,
            grid_dash: Some((1, 0)),
            colors: look(spec.is_dark),
            fonts: HashMap::from([(FontTag::Title, FontParams { size: 11, font: None })]),
            ..Misc::default()
        },
        ..GraphProps::default()
    })
}

fn name(letter: &str, index: usize, series: &Path) -> Result<VarName, SeriesError> {
    VarName::new(format!("{letter}{index}")).map_err(|error| SeriesError::invalid(series, error.to_string()))
}

/// A path inside a DEF, where `:` ends it (rrdgraph_data(1)); a backslash is only special before a `:`.
fn escaped(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().replace(':', "\\:"))
}

/// Text without control letters, which librrd can't take or would draw as boxes, and of bounded length.
fn plain(text: &str, letters_max: usize) -> String {
    text.chars().take(letters_max).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn color(spec: &GraphSpec, index: usize) -> Color {
    let (red, green, blue) = COLORS.get(index % COLORS.len()).copied().unwrap_or_default();
    let own = spec.colors.get(index).and_then(|text| text.parse::<Color>().ok());
    own.unwrap_or(Color { red, green, blue, alpha: None })
}

fn look(is_dark: bool) -> HashMap<ColorTag, Color> {
    let (red, green, blue) = if is_dark { DARK } else { (255, 255, 255) };
    let ground = Color { red, green, blue, alpha: None };
    let ink = if is_dark { 255 } else { 0 };
    let line = |alpha| Color { red: ink, green: ink, blue: ink, alpha: Some(alpha) };
    let lines = LOOK.into_iter().map(|(tag, strength)| (tag, line(strength)));
    lines.chain([(ColorTag::Back, ground), (ColorTag::Canvas, ground)]).collect()
}

fn darker(color: Color) -> Color {
    let part = |value: u8| value / 3 * 2;
    Color { red: part(color.red), green: part(color.green), blue: part(color.blue), alpha: None }
}
