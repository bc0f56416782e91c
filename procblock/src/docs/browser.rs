//! The page of `dropstar.js` and of what it asks the server for.

use crate::docs::{Page, Part};

const INTRODUCTION: &str = "Pages that load `dropstar.js` call procedures and follow what happens on the server without a \
line of JavaScript: by attributes. What a reply or an event brings is shown as text; only an element with `data-html` is filled \
with HTML. The script needs nothing else, keeps a strict Content-Security-Policy, and finds its server by its own address, \
also below a path.";

const PAGE: &str = r#"<script src="{{ prefix }}/dropstar.js"></script>
<button data-rpc="greet" data-args='{"name": "you"}'>Greet</button>
<p id="greeting"></p>
<p>Requests so far: <b data-counter="requests"></b></p>
<img data-graph="cpu" data-from="-1h" alt="CPU">"#;

const ROWS: &[(&str, &str)] = &[
    (
        "data-rpc=\"NAME\"",
        "Calls a procedure: a button on click, a form on submit, a field when it changes. Keys of the reply are the ids of the \
         elements that it fills; keys without an element are ignored. A list fills a `ul`, `ol` or `tbody`.",
    ),
    (
        "data-args",
        "The arguments: JSON, or a selector of the form or fields that hold them. A form or field brings its own; of a form also the files that were chosen.",
    ),
    ("data-confirm=\"Sure?\"", "Asks first."),
    ("data-every=\"5s\"", "Calls again and again; with `data-graph`, draws again. Not in a hidden tab."),
    ("data-error", "Shows why a call failed; `data-error=\"NAME\"` of that procedure alone."),
    ("data-html", "May be filled with HTML, which then must be of your own making."),
    ("data-keep", "Of a form: is not emptied after its call."),
    ("data-columns=\"a,b\"", "Of a `tbody`: which keys of mappings are its columns."),
    ("data-counter=\"NAME\"", "Shows a counter and follows it."),
    (
        "data-state=\"BUCKET/KEY\"",
        "Shows a key of the shared state; of `BUCKET` or `BUCKET/a*` every key, as items, rows or JSON.",
    ),
    ("data-queue=\"NAME\"", "Shows how many messages wait; with `data-field`, what else the event tells."),
    (
        "data-thread=\"NAME\"",
        "Shows the newest result of a run-thread; `data-field=\"age\"`, `runs` or `error` tell of it.",
    ),
    ("data-series=\"NAME\"", "Shows the newest sample of a series."),
    (
        "data-log",
        "Shows the log's lines as they come, to administrators where there are users; `data-lines=\"100\"`, \
         `data-newest=\"first\"`, `data-level=\"warn\"` and worse, `data-match=\"text\"`, \
         `data-columns=\"clock,level,from,text\"`.",
    ),
    ("data-field=\"a.b\"", "Which part of it is shown; `data-default=\"–\"` stands for what is not there."),
    ("data-of=\"event\"", "Takes the field from what is told beside the value, such as a run-thread's `runs`."),
    ("data-json", "Shows a part as JSON; `data-json=\"80\"` at most so many characters of it."),
    (
        "data-unit=\"B/s\"",
        "A number is shown in three digits with this unit and its prefix: `%`, `B` (by 1,024), `s`, …",
    ),
    (
        "data-graph=\"SERIES\"",
        "Of an `img`: the picture of a series, drawn again with each sample. `data-from=\"-1h\"`, `data-to`, `data-width`, \
         `data-height`.",
    ),
    (
        "data-chart=\"SERIES\"",
        "An interactive chart: drag to zoom, double click to return. `data-from`, `data-fields=\"a,b\"`, `data-labels`, \
         `data-height`, `data-unit`; `data-method` is `line`, `area` or `stack`; `data-min` and `data-max` are ends that its \
         scale has at least. A procblock that was built without charts shows the picture.",
    ),
    (
        "data-sync=\"NAME\"",
        "Of charts: those of one name share pointer, window and zoom. `data-windows=\"-1h,-1d\"` are the buttons for how far \
         back; `none` is for a page that has its own and sends the event `dropstar:window` with `{from: \"-1h\"}`.",
    ),
    (
        "data-follow-hidden",
        "Of `html`: follows also while its tab is hidden. Else it lets go after 30 seconds and catches up when shown.",
    ),
];

const FUNCTIONS: &str = r#"const reply = await rpc("greet", {name: "you"});      // fills elements too; throws what data-error shows
const end = dropstar.on("state", "wall/newest", event => console.log(event.value));
end();                                               // follows no more
RPCUrl("rpc/greet")                                  // the address, whatever the page's own
document.addEventListener("dropstar:filled", event => console.log(event.detail));
document.addEventListener("dropstar:error", event => console.log(event.detail.error.message));
document.querySelector("img").dispatchEvent(new Event("dropstar:draw"));
dropstar.number(1536, "B/s")                         // "1.50 KiB/s", as data-unit shows it
dropstar.bind(element)                               // gives the attributes of an element that was added their meaning"#;

const SERVER: &[&str] = &[
    "`/events?counter=NAME&state=BUCKET/KEYS&queue=NAME&thread=NAME&series=NAME&log=` are server-sent events: first how \
     things are, then what changes. A reader that comes back with its last id misses nothing that is still kept; else it is \
     told `reset` and begins anew.",
    "`/graph/SERIES.png?from=-1d&to=now&width=600&height=200&dark=1` (or `.svg`) draws a series; times are `now`, `-1h30m` or \
     seconds since 1970. A picture is kept for half a pixel's time, 1 to 60 seconds, so that many readers cost one drawing.",
    "`/series/SERIES.json?from=-1d&points=600&consolidation=AVERAGE` gives `{fields, times, values}`, a list of values for \
     each field, of at most so many points.",
    "While there is no connection, `html` has the attribute `data-offline`: a style may tell it. Where users log in, calls \
     bring the token against forged requests by themselves: from `<meta name=\"csrf-token\" content=\"{{ csrf_token }}\">` or a \
     form's field, else it is asked for.",
];

/// Attributes, functions and addresses.
pub(super) fn page() -> Page {
    let rows = ROWS.iter().map(|(name, text)| vec![format!("`{name}`"), (*text).to_string()]).collect();
    let mut parts = vec![
        Part::Heading(1, "Pages in the browser".into()),
        Part::Paragraph(INTRODUCTION.into()),
        Part::Code("html", PAGE.into()),
        Part::Heading(2, "Attributes".into()),
        Part::Table(vec!["attribute", "meaning"], rows),
        Part::Heading(2, "Functions".into()),
        Part::Code("js", FUNCTIONS.into()),
        Part::Heading(2, "What it asks for".into()),
    ];
    parts.extend(SERVER.iter().map(|text| Part::Paragraph((*text).into())));
    Page { name: "browser", summary: "pages that call and follow: dropstar.js, events, graphs and charts", parts }
}

#[cfg(test)]
mod tests {
    use super::ROWS;

    const SCRIPTS: &str =
        concat!(include_str!("../../../dropstar/src/assets/dropstar.js"), include_str!("../../../web/charts.js"));

    /// What the scripts take by `const { a, b } = element.dataset`.
    fn unpacked() -> impl Iterator<Item = &'static str> {
        let ends = SCRIPTS.match_indices("} = element.dataset");
        let lists = ends.filter_map(|(end, _)| SCRIPTS[..end].rsplit_once("const {"));
        lists.flat_map(|(_, names)| names.split(',')).map(|name| name.split(':').next().unwrap().trim())
    }

    #[test]
    fn every_attribute_is_one_that_the_scripts_read() {
        for (name, _) in ROWS {
            let name = name.trim_start_matches("data-").split('=').next().unwrap();
            let mut words = name.split('-');
            let mut read = words.next().unwrap().to_string();
            for word in words {
                read.push_str(&word[..1].to_uppercase());
                read.push_str(&word[1..]);
            }
            let is_read = SCRIPTS.contains(&format!("dataset.{read}"))
                || SCRIPTS.contains(&format!("    {read}: (event)"))
                || unpacked().any(|name| name == read);
            assert!(is_read, "data-{name}");
        }
    }
}
