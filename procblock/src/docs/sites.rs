//! The page of sites: folders, site files, packages, and what pages and RPCs say and get.

use crate::docs::{Page, Part, fields};
use crate::serve::declaration::DECLARATION_FIELDS;
use crate::serve::fields::SITE_FIELDS;
use crate::serve::package::PACKAGE_FIELDS;

const ABOUT: &str = "`procblock serve FOLDER` serves a site, and so does the tag `serve` in a block file, whose run-threads, counters, \
queues and state its pages then share. It listens at 127.0.0.1:8686 unless told; `ssh -L 8686:127.0.0.1:8686 HOST` brings it to \
another machine. A file that is dropped in or edited is live at the next request; a broken one is a failure of that page alone. \
`procblock check FOLDER` finds mistakes without serving.";

const FOLDER: &str = "A folder is a site: `pages/NAME.lua` (or `.py`, `.sh`, `.yaml`) is `/NAME` and `pages/index.lua` is `/`; \
`templates/NAME.html` is filled with what it returns, and is a page by itself without one; `rpc/NAME.…` is `/rpc/NAME`; \
`static/a.js` is `/a.js`. Where a site has users its static files want a log-in, like its pages; what is in `public/` \
instead anybody may read: the styles and scripts of pages that say `needs: nobody`. Names that begin with `_` or `.` are not served: layouts, includes, modules.";

const DECLARED: &str = "A script says what it is in its leading comment lines, as YAML behind `--:` (Lua) or `#:` (Python, shell); a \
YAML page says the same with keys beside its tags. An RPC takes POST alone unless it is `read only`.";

const SCRIPT: &str = "--: title: Disks\n--: args: {mount: {default: /, info: Where.}}\nfunction ProcessBlock(pipe_data, block, request_state, input_data)\n  return {mount = input_data.mount}\nend";

const GIVEN: [&str; 7] = [
    "A request's arguments are in `input_data` (`args` in expressions), what else is known of it in `request_state`: `headers`, \
     `cookies`, `path`, `args`, `method`, `host`, `port`, `protocol`, `user`, `page` or `rpc` with its mount, `package`, `render`. \
     They are never among the results, so no visitor can put a name into a page. `pipe_data` begins as the `data` of a YAML page.",
    "A shell script or another executable gets the arguments as variables `ARG_NAME` and all of it as JSON on standard input; it \
     prints a JSON mapping, or text, which is `output`.",
    "What a page returns fills its template, escaped; a name that it shows and nothing gave is an error, unless it says \
     `{{ note | default(\"\") }}`. Without a template it is JSON, and JSON it is for who asks for it (`Accept: \
     application/json`, `?format=json`). `output` with `content-type` is the answer itself. `__response: {status, headers, cookies, \
     redirect}` says the rest.",
    "A cookie is `name: text` or `name: {value, path, domain, max age, http only, same site, secure}`, and null to take it away. It \
     is for this site alone, no script of a page reads it (`http only`), and no other site's page sends it where it would change \
     something (`same site: lax`), unless told. A redirect to `/disks` stays below the prefix of a proxy.",
    "An RPC or page that refuses says why and with which status: `return {error = \"no such disk\", __response = {status = 404}}`. \
     `rpc()` in the browser throws it, and `data-error` shows it. A script that fails is answered with 500 and an id, and the log has \
     the rest under that id.",
    "Of a form in parts (`enctype=\"multipart/form-data\"`) a file is `{file, name, type, size}`: `file` is the path of a temporary \
     file that goes with the request, so what is to stay is copied (`file.copy`, with `allow: [file]`); `name` and `type` are only \
     what the client says. Declare it as `args: {photo: file}`: then nothing but an upload is taken for one, while else any JSON could \
     name a file of yours.",
    "A YAML page gives what its `run` list returned and the values beside it, without its `data`. Locks that a request took are \
     released when it ends, and at its `timeout` it is ended with everything it started.",
];

const FILE: &str = "A site file names sites by their host, and their packages; several sites share a port.";

const FILE_EXAMPLE: &str = "admin.example:\n  aliases: [admin]\n  packages:\n    - path: tools/package.yaml\n    - {path: wiki/package.yaml, mount: /wiki/}";

const PACKAGE: &str = "A package file names static files, pages and RPCs. A page there may have scripts of any name.";

const PACKAGE_EXAMPLE: &str = "static: {path: www}\nhttp:\n  disks:\n    title: Disks\n    template: {path: disks.html}\n    run: [{script: disks.lua}]\nrpc:\n  grow:\n    needs: admin\n    run: [{script: grow.lua}]";

const INSIDE: [&str; 2] = [
    "`/status` shows the instance behind a site, and below it is a page for each kind of thing: `/status/threads` (what runs took, \
     gave and failed with), `/status/series`, `/status/locks`, `/status/counters`, `/status/queues`, `/status/state`, `/status/log`, \
     `/status/sources` (the YAML and scripts behind it all), most with `/NAME` for one of them. They work without scripts, follow what \
     changes with them, and are JSON for who asks for it. Where there are users they are an administrator's.",
    "An administrator takes locks away, sets counters, moves dead letters back and edits the state there; where there are no users, \
     whoever comes from this machine. Each change is a line of the audit log. By a program: `POST /status/counters` with `{\"action\": \
     \"set\", \"name\": \"a\", \"value\": 1}`; `/status/locks` takes `release`, `/status/queues/NAME` `move back` and `remove`, \
     `/status/state/BUCKET` `set` and `delete`, which name the `revision` that they change.",
];

/// Everything about sites.
pub(super) fn page() -> Page {
    let paragraph = |text: &str| Part::Paragraph(text.into());
    let heading = |text: &str| Part::Heading(2, text.into());
    let mut parts =
        vec![Part::Heading(1, "Sites".into()), paragraph(ABOUT), paragraph(FOLDER), heading("What pages say")];
    parts.extend([paragraph(DECLARED), Part::Code("lua", SCRIPT.into())]);
    parts.extend(fields::tables(DECLARATION_FIELDS));
    parts.push(heading("What pages get and give"));
    parts.extend(GIVEN.iter().map(|text| paragraph(text)));
    parts.extend([heading("Site files"), paragraph(FILE), Part::Code("yaml", FILE_EXAMPLE.into())]);
    parts.extend(fields::tables(SITE_FIELDS));
    parts.extend([heading("Package files"), paragraph(PACKAGE), Part::Code("yaml", PACKAGE_EXAMPLE.into())]);
    parts.extend(fields::tables(PACKAGE_FIELDS));
    parts.push(heading("The inside"));
    parts.extend(INSIDE.iter().map(|text| paragraph(text)));
    Page { name: "sites", summary: "pages and RPCs: folders, site files, packages", parts }
}
