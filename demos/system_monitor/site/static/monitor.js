// What attributes can't say: cards and rows of things that come and go, the buttons for how far back, fixed decimals.
"use strict";
(() => {
  const items = new Map(); // "kind/name" -> {kind, name, note, series, is_here, is_interesting}
  const chosen = new Map(); // "kind/name" -> whether somebody wants it
  const rates = new Map(); // series -> its newest sample
  const results = {}; // run-thread -> its newest result

  const isOn = (key) => chosen.get(key) ?? items.get(key).is_interesting;
  const byName = (a, b) => a[1].name.localeCompare(b[1].name, "en", { numeric: true });
  const ofKind = (kind) => [...items].filter(([, item]) => item.kind === kind).sort(byName);
  const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "–");

  function cell(row, text, isNumber) {
    const made = row.insertCell();
    made.textContent = text;
    if (isNumber) made.className = "n";
    return made;
  }

  // A part of what can be had, as a bar: more than 80 and 90 percent are told by its colour.
  function bar(percent) {
    const meter = document.createElement("meter");
    Object.assign(meter, { max: 100, low: 80, high: 90, optimum: 0, value: percent || 0 });
    return meter;
  }

  // Cards of a kind: made from the page's template when an item appears, greyed when it is gone, hidden when it is off.
  function showCards(place) {
    const template = place.querySelector("template");
    for (const card of [...place.children]) if (card.dataset.key && !items.has(card.dataset.key)) card.remove();
    for (const [key, item] of ofKind(place.dataset.items)) {
      let card = [...place.children].find((child) => child.dataset.key === key);
      if (!card && isOn(key)) {
        card = template.content.firstElementChild.cloneNode(true);
        fillNames(card, item);
        card.dataset.key = key;
        const next = [...place.children].find((child) => child.dataset.key && byName([0, item], [0, items.get(child.dataset.key)]) < 0);
        place.insertBefore(card, next || null);
        dropstar.bind(card);
      }
      if (!card) continue;
      card.hidden = !isOn(key);
      card.toggleAttribute("data-gone", !item.is_here);
      for (const field of card.querySelectorAll("[data-value]")) {
        showValue(field, results[item.kind]?.[item.kind]?.[item.name]?.[field.dataset.value]);
      }
    }
  }

  // The template's {name}, {note} and {series}, as text wherever they stand.
  function fillNames(card, item) {
    const filled = (text) => text.replace(/\{(name|note|series)\}/g, (_, key) => item[key]);
    for (const element of [card, ...card.querySelectorAll("*")]) {
      for (const attribute of element.attributes) attribute.value = filled(attribute.value);
      for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) node.data = filled(node.data);
    }
    for (const link of card.querySelectorAll("a.internals")) link.href = `internals?series=${encodeURIComponent(item.series)}`;
  }

  function showValue(element, value) {
    if (element.classList.contains("state")) element.className = `state ${value}`;
    if (element.dataset.fixed && typeof value === "number") element.textContent = fixed(value, Number(element.dataset.fixed));
    else dropstar.show(element, value ?? "–");
  }

  // Rows of the overview: numbers of now, rates as the series' events tell them.
  const ROWS = {
    disks(row, numbers) {
      for (const key of ["used", "available", "total"]) cell(row, dropstar.number(numbers[key], "B"), true);
      cell(row, fixed(numbers.percent, 1), true);
      cell(row, "").append(bar(numbers.percent));
    },
    network(row, numbers, rate) {
      cell(row, numbers.state ?? "–").className = `state ${numbers.state}`;
      for (const key of ["rx_bytes", "tx_bytes"]) cell(row, dropstar.number(rate[key], "B/s"), true);
      cell(row, (numbers.rx_errors ?? 0) + (numbers.tx_errors ?? 0), true);
      cell(row, (numbers.rx_dropped ?? 0) + (numbers.tx_dropped ?? 0), true);
    },
    disk_io(row, _numbers, rate) {
      for (const key of ["read_bytes", "write_bytes"]) cell(row, dropstar.number(rate[key], "B/s"), true);
      for (const key of ["reads", "writes"]) cell(row, dropstar.number(rate[key], "/s"), true);
      cell(row, rate.busy_ms === undefined ? "–" : `${fixed(rate.busy_ms / 10, 1)} %`, true);
    },
  };

  function showRows(body) {
    const kind = body.dataset.rows;
    const rows = ofKind(kind).filter(([key]) => isOn(key)).map(([, item]) => {
      const row = document.createElement("tr");
      row.toggleAttribute("data-gone", !item.is_here);
      const link = document.createElement("a");
      Object.assign(link, { textContent: item.name, href: `internals?series=${encodeURIComponent(item.series)}` });
      cell(row, "").append(link);
      ROWS[kind](row, results[kind]?.[kind]?.[item.name] ?? {}, rates.get(item.series) ?? {});
      return row;
    });
    body.replaceChildren(...rows);
  }

  function showTop(body) {
    const all = (results.processes?.[body.dataset.top] ?? []).slice(0, Number(body.dataset.count));
    const rows = all.map((process) => {
      const row = document.createElement("tr");
      cell(row, process.pid, true);
      cell(row, process.name);
      cell(row, process.user);
      cell(row, fixed(process.cpu, 1), true);
      cell(row, dropstar.number(process.memory, "B"), true);
      if (body.dataset.all !== undefined) {
        cell(row, fixed(process.memory_percent, 1), true);
        cell(row, process.threads, true);
        cell(row, process.state);
      }
      return row;
    });
    body.replaceChildren(...rows);
  }

  // The list of items with their switches.
  function showSwitches(body) {
    const kind = body.dataset.switches;
    const all = ofKind(kind);
    for (const [key, item] of all) {
      const old = [...body.rows].find((row) => row.dataset.key === key);
      const row = old || newSwitch(key, item);
      row.toggleAttribute("data-gone", !item.is_here);
      row.querySelector("input").checked = isOn(key);
      row.querySelector(".note").textContent = item.is_here ? item.note : "gone";
      body.append(row);
    }
    for (const row of [...body.rows]) if (!items.has(row.dataset.key)) row.remove();
    const count = document.querySelector(`[data-on="${kind}"]`);
    if (count) count.textContent = `${all.filter(([key]) => isOn(key)).length} of ${all.length} on`;
  }

  function newSwitch(key, item) {
    const row = document.createElement("tr");
    row.dataset.key = key;
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.addEventListener("change", () => {
      const choice = { kind: item.kind, name: item.name, is_on: box.checked };
      rpc("switch", choice).catch(() => (box.checked = isOn(key)));
    });
    label.append(box, ` ${item.name}`);
    cell(row, "").append(label);
    cell(row, "").className = "note";
    return row;
  }

  // Several events come together: everything is shown once for them.
  let isDue = false;
  function showSoon() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      document.querySelectorAll("[data-items]").forEach(showCards);
      document.querySelectorAll("[data-rows]").forEach(showRows);
      document.querySelectorAll("[data-top]").forEach(showTop);
      document.querySelectorAll("[data-switches]").forEach(showSwitches);
    });
  }

  const kinds = new Set([...document.querySelectorAll("[data-items],[data-rows],[data-switches]")]
    .map(({ dataset }) => dataset.items || dataset.rows || dataset.switches));
  const followed = new Set();
  function followRates(item) {
    if (!document.querySelector(`[data-rows="${item.kind}"]`) || item.kind === "disks" || followed.has(item.series)) return;
    followed.add(item.series);
    dropstar.on("series", item.series, ({ values }) => {
      rates.set(item.series, values);
      showSoon();
    });
  }
  for (const kind of kinds) {
    dropstar.on("state", `items/${kind}/*`, (event) => {
      if (event.removed) items.delete(event.key);
      else items.set(event.key, event.value);
      if (!event.removed && isOn(event.key)) followRates(event.value);
      showSoon();
    });
    dropstar.on("state", `switched/${kind}/*`, (event) => {
      if (event.removed) chosen.delete(event.key);
      else chosen.set(event.key, event.value);
      if (items.has(event.key) && isOn(event.key)) followRates(items.get(event.key));
      showSoon();
    });
  }
  const threads = new Set([...kinds].filter((kind) => document.querySelector(`[data-items="${kind}"],[data-rows="${kind}"]`)));
  if (document.querySelector("[data-top]")) threads.add("processes");
  for (const thread of threads) {
    dropstar.on("thread", thread, ({ result }) => {
      results[thread] = result ?? {};
      showSoon();
    });
  }

  // Tiles: decimals that do not dance, and how much of what there is.
  const part = (id, value, max) => {
    const meter = document.getElementById(id);
    if (meter) Object.assign(meter, { max: 100, low: 80, high: 90, optimum: 0, value: max ? (100 * value) / max : 0 });
  };
  if (document.querySelector(".tiles")) {
    dropstar.on("thread", "memory", ({ result }) => {
      if (!result) return;
      part("memory_part", result.memory_used, result.memory_total);
      part("swap_part", result.swap_used, result.swap_total);
    });
    dropstar.on("thread", "cpu", ({ result }) => {
      if (!result) return;
      part("load_part", result.load_1, result.cpu_cores);
      for (const field of document.querySelectorAll("[data-thread=cpu][data-fixed]")) showValue(field, result[field.dataset.field]);
    });
  }
  dropstar.on("thread", "machine", ({ result }) => {
    if (!result) return;
    const minutes = Math.floor(result.machine_uptime / 60);
    const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
    const text = days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
    document.getElementById("uptime").textContent = text;
  });

  // How far back: for all charts of the page, and the next page too.
  const windows = [...document.querySelectorAll("[data-window]")];
  function choose(window) {
    localStorage.setItem("window", window);
    for (const button of windows) button.setAttribute("aria-pressed", String(button.dataset.window === window));
    // They share their window: one is told for all.
    document.querySelector(".dropstar-chart")?.dispatchEvent(new CustomEvent("dropstar:window", { detail: { from: window } }));
  }
  const kept = localStorage.getItem("window") || "-10m";
  for (const button of windows) {
    button.addEventListener("click", () => choose(button.dataset.window));
    button.setAttribute("aria-pressed", String(button.dataset.window === kept));
  }
  for (const chart of document.querySelectorAll("[data-chart]")) chart.dataset.from = kept;
  for (const template of document.querySelectorAll("template")) {
    for (const chart of template.content.querySelectorAll("[data-chart]")) chart.dataset.from = kept;
  }
  document.querySelector(".choose select")?.addEventListener("change", (event) => event.target.form.submit());
})();
