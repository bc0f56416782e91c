// dropstar.js: calls procedures, fills elements with their replies, follows what changes on the server.
//
//   rpc("name", {x: 1})                 call; the reply's keys are the ids of elements that it fills
//   dropstar.on("counter", "requests", event => …)
//                                       follow a thing; gives a function that ends it
//   data-rpc="name"                     a button calls on click, a form on submit, a field on change
//   data-args='{"x": 1}' | "#selector"  the arguments, or the form or fields that hold them
//   data-confirm="Sure?"                ask first
//   data-every="5s"                     call again and again; with data-graph, draw again
//   data-counter data-state data-queue data-thread data-series
//                                       show a thing and its changes; data-field="a.b" a part, data-default="–" if absent
//                                       data-of="event" takes it from what is told with the value, such as a
//                                       run-thread's runs; data-json shows JSON, data-json="80" so much of it
//                                       state: "bucket/key"; of "bucket" or "bucket/a*" every key, as list or rows
//   data-log                            the log's lines as they come; data-lines="100", data-newest="first",
//                                       data-columns="time,level,text" (also clock, from), data-level="warn" and worse,
//                                       data-match="text" in it
//   data-graph="series"                 an img: the picture of a series; data-from="-1h" its window; drawn again with
//                                       each sample, or as data-every says
//   data-chart="series"                 an interactive chart where the server has them, else the picture
//   data-unit="B/s"                     a number is shown with this unit and a prefix: "%", "B" (by 1,024), "s", …
//   data-html                           this element may be filled with HTML; all others get text
//   data-error                          shows the message of a failed call; data-error="name" of that procedure alone
//   data-follow-hidden                  of <html>: follow also while the tab is hidden (else it catches up when shown)
//
// Events on document: dropstar:filled (detail: the reply), dropstar:error (detail: {name, error}); on an img with
// data-graph, dropstar:draw draws it again. While there is no connection, <html> has the attribute data-offline.
"use strict";
(() => {
  const script = document.currentScript;
  const base = new URL(".", script ? script.src : document.baseURI).href;
  const EVERY_MIN = 200;
  const ROWS_MAX = 1000;

  class CallError extends Error {
    constructor(message, status, id) {
      super(message);
      this.name = "CallError";
      this.status = status;
      this.id = id;
    }
  }

  // The token that a logged-in browser must send with what changes something: from the page, or from the log-in.
  let token = null;

  function csrfToken(isFresh = false) {
    if (token === null || isFresh) token = findToken(isFresh);
    return token;
  }

  async function findToken(isFresh) {
    const inPage = document.querySelector('meta[name="csrf-token"], input[name="csrf_token"]');
    if (inPage && !isFresh) return inPage.content || inPage.value || "";
    try {
      const response = await fetch(RPCUrl("login"), { headers: { Accept: "application/json" }, credentials: "same-origin" });
      return (await response.json()).csrf_token || "";
    } catch {
      return "";
    }
  }

  async function rpc(name, args = {}, { fill: isFilling = true, timeout = 35000 } = {}) {
    let reply;
    try {
      let response = await post(name, args, timeout, await csrfToken());
      if (response.status === 403) {
        // The token of a page that was open before a log-in is an old one.
        const old = await csrfToken();
        const fresh = await csrfToken(true);
        if (fresh && fresh !== old) response = await post(name, args, timeout, fresh);
      }
      reply = await response.json().catch(() => ({}));
      if (!response.ok) {
        const error = reply.error || {};
        const text = typeof error === "string" ? error : error.text || error.message;
        throw new CallError(text || `${response.status} ${response.statusText}`, response.status, error.id);
      }
    } catch (error) {
      tellError(name, error);
      throw error;
    }
    tellError(name, null);
    if (isFilling) fill(reply);
    return reply;
  }

  function post(name, args, timeout, csrf) {
    const headers = { Accept: "application/json" };
    const isForm = args instanceof FormData;
    if (!isForm) headers["Content-Type"] = "application/json";
    if (csrf) headers["X-CSRF-Token"] = csrf;
    const signal = AbortSignal.timeout(timeout);
    const address = RPCUrl(`rpc/${encodePath(name)}`);
    return fetch(address, { method: "POST", headers, credentials: "same-origin", body: isForm ? args : JSON.stringify(args), signal });
  }

  function RPCUrl(path) {
    return new URL(path.replace(/^\/+/, ""), base).href;
  }

  function encodePath(name) {
    return name.split("/").map(encodeURIComponent).join("/");
  }

  function tellError(name, error) {
    const text = error ? `${name}: ${error.message}` : "";
    for (const element of document.querySelectorAll("[data-error]")) {
      if (element.dataset.error && element.dataset.error !== name) continue;
      if (!error && element.dataset.shows !== name) continue;
      element.textContent = text;
      element.hidden = !error;
      element.dataset.shows = error ? name : "";
    }
    if (error) document.dispatchEvent(new CustomEvent("dropstar:error", { detail: { name, error } }));
  }

  // Fills elements whose ids are the keys of a reply; keys without an element are left alone.
  function fill(reply) {
    for (const [id, value] of Object.entries(reply || {})) {
      const element = document.getElementById(id);
      if (element) show(element, value);
    }
    document.dispatchEvent(new CustomEvent("dropstar:filled", { detail: reply }));
  }

  function show(element, value) {
    if (element.dataset.html !== undefined && typeof value === "string") {
      element.innerHTML = value;
      return;
    }
    switch (element.tagName) {
      case "INPUT":
        if (element === document.activeElement && element.type !== "range") return;
        if (element.type === "checkbox") element.checked = Boolean(value);
        else element.value = asText(value);
        return;
      case "TEXTAREA":
      case "SELECT":
        if (element !== document.activeElement) element.value = asText(value);
        return;
      case "METER":
      case "PROGRESS":
        element.value = Number(value) || 0;
        return;
      case "IMG":
        element.src = asText(value);
        return;
      case "UL":
      case "OL":
        if (Array.isArray(value)) return showItems(element, value);
        break;
      case "TBODY":
        if (Array.isArray(value)) return showRows(element, value);
        break;
    }
    const isNumber = element.dataset.unit !== undefined && typeof value === "number";
    const text = isNumber ? number(value, element.dataset.unit) : asText(value);
    if (element.textContent !== text) element.textContent = text;
  }

  function showItems(list, values) {
    const items = values.slice(0, ROWS_MAX).map((value) => {
      const item = document.createElement("li");
      item.textContent = asText(value);
      return item;
    });
    list.replaceChildren(...items);
  }

  // Rows of a table: each a list, or a mapping of which data-columns="a,b" names the shown values.
  function showRows(body, values) {
    const columns = body.dataset.columns ? body.dataset.columns.split(",").map((name) => name.trim()) : null;
    const rows = values.slice(0, ROWS_MAX).map((value) => {
      const row = document.createElement("tr");
      const cells = Array.isArray(value) ? value : isMapping(value) ? cellsOf(value, columns) : [value];
      for (const cell of cells) row.insertCell().textContent = asText(cell);
      return row;
    });
    body.replaceChildren(...rows);
  }

  function cellsOf(mapping, columns) {
    return columns ? columns.map((name) => mapping[name]) : Object.values(mapping);
  }

  function isMapping(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value);
  }

  function asText(value) {
    if (value === null || value === undefined) return "";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  }

  // Three digits, a prefix and a unit: of bytes by 1,024, of percent none, of everything else by 1,000 from 10,000 on.
  function number(value, unit = "") {
    if (value === null || value === undefined) return "–";
    const isBytes = /^B\b/.test(unit);
    const base = isBytes ? 1024 : 1000;
    const prefixes = unit === "%" ? [""] : isBytes ? ["", "Ki", "Mi", "Gi", "Ti", "Pi"] : ["", "k", "M", "G", "T", "P"];
    let size = Math.abs(value);
    let place = 0;
    while (size >= (place || isBytes ? base : 10 * base) && place < prefixes.length - 1) {
      size /= base;
      place += 1;
    }
    const digits = size >= 100 || Number.isInteger(size) ? 0 : size >= 10 || unit === "%" ? 1 : 2;
    return [`${value < 0 ? "-" : ""}${size.toFixed(digits)}`, prefixes[place] + unit].filter(Boolean).join("\u00a0");
  }

  function part(value, path) {
    if (!path) return value;
    return path.split(".").reduce((inner, key) => (inner === null || inner === undefined ? undefined : inner[key]), value);
  }

  // "5s", "500ms", "1m", "2h" or plain seconds, in milliseconds.
  function duration(text) {
    const found = /^\s*([\d.]+)\s*(ms|s|m|h)?\s*$/.exec(text || "");
    if (!found) return null;
    return Number(found[1]) * { ms: 1, s: 1000, m: 60000, h: 3600000 }[found[2] || "s"];
  }

  // What data-args names: JSON, or the fields that a selector finds; a form or field brings its own values.
  function argumentsOf(element, submitter) {
    const args = {};
    if (element.tagName === "FORM") {
      fieldsInto(args, element.elements);
      if (submitter?.name) args[submitter.name] = submitter.value;
    }
    const named = element.dataset.args;
    if (named && /^\s*\{/.test(named)) Object.assign(args, JSON.parse(named));
    else if (named) {
      for (const found of document.querySelectorAll(named)) {
        fieldsInto(args, found.tagName === "FORM" ? found.elements : [found]);
      }
    }
    if (isField(element)) fieldsInto(args, [element]);
    return args;
  }

  // Of a form with chosen files, a form in parts; JSON can't hold them.
  function withFiles(element, args) {
    const fields = [...(element.elements || [])].filter((field) => field.type === "file" && field.name && field.files.length > 0);
    if (fields.length === 0) return args;
    const form = new FormData();
    for (const [name, value] of Object.entries(args)) {
      if (Array.isArray(value)) for (const one of value) form.append(`${name}[]`, one);
      else form.append(name, typeof value === "object" ? JSON.stringify(value) : value);
    }
    for (const field of fields) for (const file of field.files) form.append(field.name, file);
    return form;
  }

  function isField(element) {
    return ["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName) && element.type !== "button";
  }

  function fieldsInto(args, fields) {
    for (const field of fields) {
      const name = field.name || field.id;
      if (!name || field.disabled || ["submit", "button", "reset", "file", "fieldset"].includes(field.type)) continue;
      if (field.type === "radio" && !field.checked) continue;
      let value = field.value;
      if (field.type === "checkbox") value = field.checked;
      else if (field.tagName === "SELECT" && field.multiple) value = [...field.selectedOptions].map((option) => option.value);
      if (name.endsWith("[]")) (args[name.slice(0, -2)] ??= []).push(value);
      else args[name] = value;
    }
  }

  // Elements whose call is under way; a field that changed meanwhile is sent once more afterwards.
  const calling = new Map();

  async function callOf(element, submitter) {
    if (calling.has(element)) {
      calling.set(element, isField(element));
      return;
    }
    if (element.dataset.confirm && !window.confirm(element.dataset.confirm)) return;
    calling.set(element, false);
    try {
      do {
        calling.set(element, false);
        await rpc(element.dataset.rpc, withFiles(element, argumentsOf(element, submitter)));
      } while (calling.get(element));
      if (element.tagName === "FORM" && element.dataset.keep === undefined) element.reset();
    } catch (error) {
      if (!(error instanceof CallError)) tellError(element.dataset.rpc, error);
    } finally {
      calling.delete(element);
    }
  }

  // Runs again and again, not in a hidden tab, never two at once; once more when the tab is shown again.
  function repeat(period, run) {
    let timer = 0;
    const turn = async () => {
      clearTimeout(timer);
      if (!document.hidden) await Promise.resolve(run()).catch(() => {});
      timer = setTimeout(turn, Math.max(period, EVERY_MIN));
    };
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) turn();
    });
    turn();
  }

  // One connection for all that the page follows. Its address changes with what is followed.
  const KINDS = ["counter", "state", "queue", "thread", "series", "log"];
  const HIDDEN_MAX = 30000;
  const AGAIN = 3000;
  const followed = new Map();
  let source = null;
  let opening = 0;
  let hiding = 0;
  let lastId = "";

  function on(kind, name, listener) {
    const key = `${kind} ${name}`;
    const entry = followed.get(key) || { kind, name, listeners: new Set(), newest: new Map() };
    const isNew = !followed.has(key);
    followed.set(key, entry);
    entry.listeners.add(listener);
    if (isNew) openAnew();
    else for (const event of entry.newest.values()) listener(event);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size === 0 && followed.delete(key)) openAnew();
    };
  }

  // What is followed has changed: all of it is told from its beginning. The old connection is closed at once: an event of
  // it that came meanwhile would have the new one begin behind it.
  function openAnew() {
    close();
    lastId = "";
    openSoon(0);
  }

  function openSoon(wait) {
    clearTimeout(opening);
    opening = setTimeout(open, wait);
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  function open() {
    close();
    if (followed.size === 0) return;
    const query = new URLSearchParams();
    for (const { kind, name } of followed.values()) query.append(kind, name);
    if (lastId) query.append("last_id", lastId);
    const opened = new EventSource(`${RPCUrl("events")}?${query}`, { withCredentials: true });
    source = opened;
    for (const kind of [...KINDS, "reset"]) {
      opened.addEventListener(kind, (message) => {
        lastId = message.lastEventId;
        receive(kind, JSON.parse(message.data));
      });
    }
    opened.onopen = () => document.documentElement.removeAttribute("data-offline");
    opened.onerror = () => {
      document.documentElement.setAttribute("data-offline", "");
      // A browser gives up after an answer that is no stream; a restarting server is worth another try.
      if (opened.readyState === EventSource.CLOSED && opened === source) openSoon(AGAIN);
    };
  }

  // A browser has six connections to a host for all its tabs: a hidden one gives its own back, and catches up later.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (!document.hidden) {
      if (!source) openSoon(0);
    } else if (document.documentElement.dataset.followHidden === undefined) hiding = setTimeout(close, HIDDEN_MAX);
  });

  // A page that was left is kept for the way back, with its connection, until the sixth one has no room for another.
  addEventListener("pagehide", close);
  addEventListener("pageshow", ({ persisted }) => persisted && openSoon(0));

  function receive(kind, event) {
    for (const entry of followed.values()) {
      if (kind === "reset") forget(entry);
      else if (entry.kind === kind && concerns(entry, event)) {
        if (event.removed && kind === "state") entry.newest.delete(event.key);
        else entry.newest.set(event.key, event);
        for (const listener of entry.listeners) listener(event);
      }
    }
  }

  // How things are is told anew: what is not told is not there any more.
  function forget(entry) {
    const keys = [...entry.newest.keys()];
    entry.newest.clear();
    if (entry.kind !== "state") return;
    const [bucket] = splitOnce(entry.name, "/");
    for (const key of keys) for (const listener of entry.listeners) listener({ bucket, key, removed: true });
  }

  function concerns({ kind, name }, event) {
    if (kind === "log") return true;
    if (kind !== "state") return event.name === name;
    const [bucket, pattern] = splitOnce(name, "/");
    if (event.bucket !== bucket) return false;
    if (pattern === undefined || event.key === undefined) return true;
    return event.key === pattern || matches(pattern, event.key);
  }

  function matches(pattern, text) {
    const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
    return new RegExp(`^${source}$`, "s").test(text);
  }

  function splitOnce(text, separator) {
    const place = text.indexOf(separator);
    return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + 1)];
  }

  const VALUE_OF = {
    counter: (event) => event.value,
    state: (event) => event.value,
    queue: (event) => event.count,
    thread: (event) => event.result,
    series: (event) => event.values,
  };

  function bindLive(element) {
    for (const [kind, valueOf] of Object.entries(VALUE_OF)) {
      const name = element.dataset[kind];
      if (!name) continue;
      if (kind === "state" && (!name.includes("/") || /[*?]/.test(name))) bindKeys(element, name);
      else on(kind, name, (event) => showPart(element, event, valueOf(event)));
    }
    if (element.dataset.log !== undefined) bindLog(element);
  }

  // A part of the value, or of what else is told with it, such as a run-thread's age.
  function showPart(element, event, value) {
    const { field } = element.dataset;
    const json = element.dataset.json;
    let shown = element.dataset.of === "event" ? undefined : part(value, field);
    if (shown === undefined && field) shown = part(event, field);
    show(element, json !== undefined && shown !== undefined ? asJson(shown, Number(json)) : (shown ?? element.dataset.default));
  }

  function asJson(value, max) {
    const text = JSON.stringify(value);
    return max && text.length > max ? `${text.slice(0, max)}…` : text;
  }

  // All keys of a bucket, or those that match: rows of key and value, items, or one text.
  function bindKeys(element, name) {
    const values = new Map();
    on("state", name, (event) => {
      if (event.removed) values.delete(event.key);
      else values.set(event.key, part(event.value, element.dataset.field));
      if (element.tagName === "TBODY") showRows(element, [...values]);
      else if (["UL", "OL"].includes(element.tagName)) showItems(element, [...values.values()]);
      else show(element, Object.fromEntries(values));
    });
  }

  const LEVELS = ["error", "warn", "info", "debug", "trace"];
  const LOG_PARTS = { time: "time", clock: "time", level: "b", from: "i", text: "span" };

  function bindLog(element) {
    const max = Math.min(ROWS_MAX, Number(element.dataset.lines) || 100);
    const isNewestFirst = element.dataset.newest === "first";
    on("log", element.dataset.log, (event) => {
      const lines = event.lines.filter((line) => isWanted(element, line));
      // The newest lines of now, which the server may have written into the page already, or told before.
      if (event.first) keepOlder(element, event.lines);
      for (const line of lines.slice(-max)) {
        const item = logItem(element, line);
        if (isNewestFirst) element.prepend(item);
        else element.append(item);
      }
      while (element.childElementCount > max) (isNewestFirst ? element.lastElementChild : element.firstElementChild).remove();
    });
  }

  function keepOlder(element, lines) {
    const oldest = lines.length > 0 ? lines[0].time : "";
    for (const item of [...element.children]) {
      const time = item.querySelector("time")?.dateTime;
      if (!time || (oldest && time >= oldest)) item.remove();
    }
  }

  function isWanted(element, line) {
    const { level, match } = element.dataset;
    if (level && LEVELS.indexOf(String(line.level).toLowerCase()) > LEVELS.indexOf(level)) return false;
    return !match || String(line.text ?? line).toLowerCase().includes(match.toLowerCase());
  }

  function logItem(element, line) {
    const item = document.createElement(["UL", "OL"].includes(element.tagName) ? "li" : "div");
    if (typeof line === "string") {
      item.textContent = line;
      return item;
    }
    item.className = `log-${String(line.level).toLowerCase()}`;
    for (const name of (element.dataset.columns || "time,level,text").split(",")) {
      const text = logPart(line, name);
      if (!text) continue;
      if (item.childNodes.length > 0) item.append(" ");
      const shown = document.createElement(LOG_PARTS[name] || "span");
      shown.textContent = text;
      if (shown.tagName === "TIME") shown.dateTime = line.time;
      item.append(shown);
    }
    return item;
  }

  function logPart(line, name) {
    if (name === "clock") return String(line.time).slice(11, 19);
    if (name === "from") return line.thread || line.step || line.target;
    return line[name];
  }

  // The picture's own margins, beside the width that is asked for.
  const MARGINS = 100;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function bindGraph(image) {
    const draw = () => {
      const room = image.parentElement ? image.parentElement.clientWidth : 0;
      const width = Number(image.dataset.width) || (room || 700) - MARGINS;
      const query = new URLSearchParams({ from: image.dataset.from || "-1h" });
      query.set("width", Math.round(Math.min(4000, Math.max(100, width))));
      if (image.dataset.height) query.set("height", image.dataset.height);
      if (image.dataset.to) query.set("to", image.dataset.to);
      if (dark.matches) query.set("dark", "1");
      query.set("at", Date.now());
      const address = `${RPCUrl(`graph/${encodePath(image.dataset.graph)}.png`)}?${query}`;
      // The old picture stays until the new one is there.
      const next = new Image();
      next.onload = () => (image.src = address);
      next.src = address;
    };
    const period = duration(image.dataset.every);
    if (period) repeat(period, draw);
    else {
      draw();
      // A sample is in its file a moment after it is told.
      on("series", image.dataset.graph, () => setTimeout(draw, 500));
    }
    image.addEventListener("dropstar:draw", draw);
    dark.addEventListener("change", draw);
  }

  async function bindChart(element) {
    // With all the others of the page: followed later, it would open the connection anew.
    on("series", element.dataset.chart, () => {});
    try {
      const { draw } = await import(RPCUrl("dropstar-charts.js"));
      if (draw) return await draw(element, dropstar);
    } catch (error) {
      // Without its chart the page shows the picture; the console has why.
      console.warn(`${element.dataset.chart}: ${error.message}`);
    }
    const image = document.createElement("img");
    image.alt = element.dataset.chart;
    image.style.maxWidth = "100%";
    Object.assign(image.dataset, { graph: element.dataset.chart, from: element.dataset.from || "-1h" });
    element.replaceChildren(image);
    bindGraph(image);
  }

  const bound = new WeakSet();

  // Gives the attributes of an element and of what is inside it their meaning; done once at load for the page.
  function bind(root) {
    const selector = "[data-rpc],[data-graph],[data-chart],[data-counter],[data-state],[data-queue],[data-thread],[data-series],[data-log]";
    for (const element of [root, ...root.querySelectorAll(selector)]) {
      if (!element.dataset || bound.has(element)) continue;
      bound.add(element);
      if (element.dataset.rpc) bindCall(element);
      if (element.dataset.graph && element.tagName === "IMG") bindGraph(element);
      if (element.dataset.chart) bindChart(element);
      bindLive(element);
    }
  }

  function bindCall(element) {
    const period = duration(element.dataset.every);
    if (element.tagName === "FORM") {
      element.addEventListener("submit", (event) => {
        event.preventDefault();
        callOf(element, event.submitter);
      });
    } else if (isField(element)) {
      element.addEventListener("change", () => callOf(element));
    } else if (!period || element.tagName === "BUTTON") {
      element.addEventListener("click", (event) => {
        event.preventDefault();
        callOf(element);
      });
    }
    if (period) repeat(period, () => callOf(element));
  }

  const dropstar = { rpc, RPCUrl, fill, show, number, on, bind, duration, base, csrfToken, CallError };
  Object.assign(window, { dropstar, rpc, RPCUrl });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => bind(document));
  else bind(document);
})();
