// dropstar.js: calls procedures, fills elements with their replies, follows what changes on the server.
//
//   rpc("name", {x: 1})                 call; the reply's keys are the ids of elements that it fills
//   dropstar.on("counter", "requests", event => …)
//                                       follow a thing; gives a function that ends it
//   data-rpc="name"                     a button calls on click, a form on submit, a field on change
//   data-args='{"x": 1}' | "#selector"  the arguments, or the form or fields that hold them
//   data-confirm="Sure?"                ask first
//   data-every="5s"                     call again and again; with data-graph, draw again
//   data-counter data-state data-queue data-thread data-series data-log
//                                       show a thing and its changes ("bucket/key" for state); data-field="a.b" a part
//   data-graph="series"                 an img: the picture of a series; data-from="-1h" its window
//   data-chart="series"                 an interactive chart where the server has them, else the picture
//   data-html                           this element may be filled with HTML; all others get text
//   data-error                          shows the message of a failed call
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

  // The token that a logged-in browser must send with what changes something.
  function csrfToken() {
    const found = document.cookie.match(/(?:^|;\s*)dropstar_csrf=([^;]*)/);
    return found ? decodeURIComponent(found[1]) : "";
  }

  async function rpc(name, args = {}, { fill: isFilling = true, timeout = 35000 } = {}) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const token = csrfToken();
    if (token) headers["X-CSRF-Token"] = token;
    let reply;
    try {
      const response = await fetch(RPCUrl(`rpc/${encodePath(name)}`), {
        method: "POST",
        headers,
        credentials: "same-origin",
        body: JSON.stringify(args),
        signal: AbortSignal.timeout(timeout),
      });
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
    const text = asText(value);
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
  function argumentsOf(element) {
    const args = {};
    if (element.tagName === "FORM") fieldsInto(args, element.elements);
    const named = element.dataset.args;
    if (named && /^\s*\{/.test(named)) Object.assign(args, JSON.parse(named));
    else if (named) {
      for (const found of document.querySelectorAll(named)) {
        fieldsInto(args, found.tagName === "FORM" ? found.elements : [found]);
      }
    }
    if (element.tagName !== "FORM" && "name" in element && element.name) fieldsInto(args, [element]);
    return args;
  }

  function fieldsInto(args, fields) {
    for (const field of fields) {
      const name = field.name || field.id;
      if (!name || field.disabled || field.type === "submit" || field.type === "file") continue;
      if (field.type === "radio" && !field.checked) continue;
      let value = field.value;
      if (field.type === "checkbox") value = field.checked;
      else if (field.tagName === "SELECT" && field.multiple) value = [...field.selectedOptions].map((option) => option.value);
      if (name.endsWith("[]")) (args[name.slice(0, -2)] ??= []).push(value);
      else args[name] = value;
    }
  }

  async function callOf(element) {
    if (element.dataset.confirm && !window.confirm(element.dataset.confirm)) return;
    if (element.dataset.calling) return;
    element.dataset.calling = "1";
    try {
      await rpc(element.dataset.rpc, argumentsOf(element));
      if (element.tagName === "FORM" && element.dataset.keep === undefined) element.reset();
    } catch (error) {
      if (!(error instanceof Error)) throw error; // told by rpc
    } finally {
      delete element.dataset.calling;
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
  const followed = new Map();
  let source = null;
  let opening = 0;

  function on(kind, name, listener) {
    const key = `${kind} ${name}`;
    const entry = followed.get(key) || { kind, name, listeners: new Set(), newest: undefined };
    const isNew = !followed.has(key);
    followed.set(key, entry);
    entry.listeners.add(listener);
    if (isNew) openSoon();
    else if (entry.newest !== undefined) listener(entry.newest);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size === 0 && followed.delete(key)) openSoon();
    };
  }

  function openSoon() {
    clearTimeout(opening);
    opening = setTimeout(open, 0);
  }

  function open() {
    if (source) source.close();
    source = null;
    if (followed.size === 0) return;
    const query = new URLSearchParams();
    for (const { kind, name } of followed.values()) query.append(kind, name);
    source = new EventSource(`${RPCUrl("events")}?${query}`, { withCredentials: true });
    for (const kind of ["counter", "state", "queue", "thread", "series", "log", "reset"]) {
      source.addEventListener(kind, (message) => receive(kind, JSON.parse(message.data)));
    }
    const opened = source;
    source.onopen = () => document.documentElement.removeAttribute("data-offline");
    source.onerror = () => {
      document.documentElement.setAttribute("data-offline", "");
      // A browser gives up after an answer that is no stream; a restarting server is worth another try.
      if (opened.readyState === EventSource.CLOSED && opened === source) opening = setTimeout(open, 3000);
    };
  }

  function receive(kind, event) {
    for (const entry of followed.values()) {
      if (entry.kind !== kind || !concerns(entry, event)) continue;
      entry.newest = event;
      for (const listener of entry.listeners) listener(event);
    }
  }

  function concerns({ kind, name }, event) {
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
    log: (event) => event.lines,
  };

  function bindLive(element) {
    for (const kind of Object.keys(VALUE_OF)) {
      const name = element.dataset[kind];
      if (!name) continue;
      on(kind, name, (event) => {
        const value = part(kind === "thread" && element.dataset.field === "age" ? event : VALUE_OF[kind](event), element.dataset.field);
        show(element, value === undefined && element.dataset.default !== undefined ? element.dataset.default : value);
      });
    }
  }

  function bindGraph(image) {
    const draw = () => {
      const width = Math.min(4000, Math.max(100, Math.round(image.clientWidth) || 600));
      const query = new URLSearchParams({ from: image.dataset.from || "-1h", width });
      if (matchMedia("(prefers-color-scheme: dark)").matches) query.set("dark", "1");
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
      on("series", image.dataset.graph, draw);
    }
    image.addEventListener("dropstar:draw", draw);
  }

  async function bindChart(element) {
    try {
      const charts = await import(RPCUrl("dropstar-charts.js"));
      await charts.draw(element, dropstar);
    } catch {
      const image = document.createElement("img");
      image.alt = element.dataset.chart;
      image.style.maxWidth = "100%";
      Object.assign(image.dataset, { graph: element.dataset.chart, from: element.dataset.from || "-1h" });
      element.replaceChildren(image);
      bindGraph(image);
    }
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
        callOf(element);
      });
    } else if (["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName) && element.type !== "button") {
      element.addEventListener("change", () => callOf(element));
    } else if (!period || element.tagName === "BUTTON") {
      element.addEventListener("click", (event) => {
        event.preventDefault();
        callOf(element);
      });
    }
    if (period) repeat(period, () => callOf(element));
  }

  const dropstar = { rpc, RPCUrl, fill, show, on, bind, duration, base, csrfToken, CallError };
  Object.assign(window, { dropstar, rpc, RPCUrl });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => bind(document));
  else bind(document);
})();
