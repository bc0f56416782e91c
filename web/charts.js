// Interactive charts: a series drawn by uPlot, with zoom, hover, live append and the page's colours.
//
//   <div data-chart="cpu" data-from="-1h" data-fields="user,system" data-height="240"></div>
//   data-labels="User,System"      what the fields are called; data-unit="%", "B", "B/s", …: bytes count in 1,024
//   data-method="line|area|stack"  lines, filled ones, or one upon the other; data-min, data-max: ends that the scale has
//   data-sync="NAME"               charts of one name share pointer, window and zoom
//   data-windows="-10m,-1d"        the buttons for how far back; "none" for a page with its own, which sends the chart
//                                  new CustomEvent("dropstar:window", {detail: {from: "-1h"}})
//
// Drag to zoom into a window, double click to return. It is read when it comes into sight. New samples are appended as
// they come; a zoomed chart stays where it is. At most POINTS_MAX points are asked for and kept. A sample whose rates the
// server does not know yet makes the chart read again, at most every RELOAD_EVERY; one of a chart that could not be read
// too.
import uPlot from "uplot";
import style from "uplot/dist/uPlot.min.css";

const POINTS_MAX = 4000;
const HEIGHT_DEFAULT = 240;
const RELOAD_EVERY = 5000;
const FIRST_RELOAD = 1200;
const WINDOWS = ["-10m", "-1h", "-6h", "-1d", "-7d", "-30d"];
const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
// Okabe and Ito's palette (2008), told apart by colour-blind readers too.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999933", "#882255"];

let isStyled = false;

// Styles by a constructed sheet: a strict Content-Security-Policy allows those.
function addStyle() {
  if (isStyled) return;
  isStyled = true;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${style}
.dropstar-chart { position: relative; overflow: hidden; }
.dropstar-chart-bar { display: flex; flex-wrap: wrap; gap: .25rem; margin-bottom: .25rem; }
.dropstar-chart-bar button { font: inherit; font-size: .8rem; padding: .1rem .5rem; }
.dropstar-chart-bar button[aria-pressed=true] { font-weight: bold; }
.dropstar-chart .u-over { touch-action: pan-y; }
.dropstar-chart .u-legend { font-size: .8rem; text-align: left; }
.dropstar-chart .u-legend th, .dropstar-chart .u-legend td { border: 0; padding: 0 .2rem; white-space: nowrap; }
.dropstar-chart .u-legend .u-value { font-variant-numeric: tabular-nums; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

function secondsOf(text) {
  const found = /^-(\d+(?:\.\d+)?)([smhdwy])$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2]] : 3600;
}

// Local time as a machine's administrator writes it: 2030-12-31 23:59:59.
function clock(seconds) {
  const date = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return { day, time: [two(date.getHours()), two(date.getMinutes()), two(date.getSeconds())].join(":") };
}

// The time axis says the day where one begins, and seconds only where they differ.
function timeTicks(ticks, every) {
  return ticks.map((tick) => {
    const { day, time } = clock(tick);
    if (every >= 86400 || time === "00:00:00") return every >= 28 * 86400 ? day.slice(0, 7) : day.slice(5);
    return every < 60 ? time : time.slice(0, 5);
  });
}

// Bytes are divided where their units are.
const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);

// Charts that share their window, by name.
const groups = new Map();

function listOf(text) {
  return text ? text.split(",").map((word) => word.trim()) : null;
}

class Chart {
  constructor(element, dropstar) {
    const { chart, from, fields, labels, unit, method, min, max, sync, windows, height } = element.dataset;
    this.element = element;
    this.dropstar = dropstar;
    this.series = chart;
    this.from = from || "-1h";
    this.wanted = listOf(fields);
    this.labels = listOf(labels) || [];
    this.unit = unit || "";
    this.method = method || "line";
    this.limits = [min, max].map((limit) => (limit === undefined || limit === "" ? null : Number(limit)));
    this.height = Number(height) || HEIGHT_DEFAULT;
    this.windows = windows === "none" ? [] : listOf(windows) || WINDOWS;
    this.group = sync ? groups.get(sync) || new Set() : new Set();
    if (sync) groups.set(sync, this.group);
    this.group.add(this);
    this.sync = sync;
    this.isSeen = false;
    this.window = null;
    this.range = [0, 1];
    this.reloading = 0;
    this.step = 1;
    this.isWithin = false;
    this.plot = null;
    this.fields = [];
    this.data = [[]];
    this.bar = document.createElement("div");
    this.bar.className = "dropstar-chart-bar";
    this.box = document.createElement("div");
    element.classList.add("dropstar-chart");
    element.replaceChildren(this.bar, this.box);
    this.showButtons();
    element.addEventListener("dropstar:window", ({ detail }) => this.show(detail.from, null));
  }

  showButtons() {
    const others = this.windows.length && !this.windows.includes(this.from) ? [this.from] : [];
    const buttons = [...others, ...this.windows].map((window) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = window.slice(1);
      button.setAttribute("aria-pressed", String(window === this.from));
      button.onclick = () => this.show(window, null);
      return button;
    });
    this.bar.replaceChildren(...buttons);
  }

  // Shows how things are since `from`, or a zoomed window, in all charts of the group.
  show(from, window) {
    for (const chart of this.group) {
      chart.from = from;
      chart.window = window;
      chart.showButtons();
      if (chart.isSeen) chart.load();
    }
  }

  // Reads what it shows. Before its first sample a series can't be read: the next one tries again.
  async load() {
    try {
      await this.read();
      this.draw();
    } catch (error) {
      this.plot?.destroy();
      this.plot = null;
      this.box.textContent = error.message;
    }
  }

  async read() {
    const { window } = this;
    const points = Math.min(POINTS_MAX, Math.max(100, Math.round(this.element.clientWidth) || 600));
    const query = new URLSearchParams({ from: window ? window[0] : this.from, points });
    if (window) query.set("to", window[1]);
    const path = this.series.split("/").map(encodeURIComponent).join("/");
    const response = await fetch(`${this.dropstar.RPCUrl(`series/${path}.json`)}?${query}`, { credentials: "same-origin" });
    if (response.status === 404) throw new Error("no samples yet");
    if (!response.ok) throw new Error(`${this.series}: ${response.status}`);
    const { fields, times, values, to, step } = await response.json();
    this.fields = (this.wanted || fields).filter((name) => fields.includes(name));
    this.data = [times, ...this.fields.map((name) => values[fields.indexOf(name)])];
    this.step = step;
    this.isWithin = false;
    this.range = window || [to - secondsOf(this.from), to];
  }

  // What is drawn: of a stack each field upon those before it.
  drawn() {
    if (this.method !== "stack") return this.data;
    const sums = this.data[0].map(() => 0);
    const upon = (column) => column.map((value, place) => (value === null ? null : (sums[place] += value)));
    return [this.data[0], ...this.data.slice(1).map(upon)];
  }

  draw() {
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const axis = {
      stroke: isDark ? "#bbb" : "#444",
      grid: { stroke: isDark ? "#333" : "#e5e5e5", width: 1 },
      ticks: { stroke: isDark ? "#444" : "#ccc", width: 1 },
    };
    const options = {
      width: Math.max(200, this.element.clientWidth || 600),
      height: this.height,
      scales: { x: { time: true, range: () => this.range }, y: { range: (_plot, min, max) => this.extent(min, max) } },
      padding: [8, 8, 0, 0],
      axes: [
        { ...axis, size: 30, values: (_plot, ticks, _axis, _space, every) => timeTicks(ticks, every) },
        {
          ...axis,
          size: 80,
          ...(/^B\b/.test(this.unit) && { incrs: BINARY_STEPS }),
          values: (_plot, ticks) => ticks.map((tick) => this.dropstar.number(tick, this.unit)),
        },
      ],
      series: [{ value: (_plot, time) => (time ? `${clock(time).day} ${clock(time).time}` : "–") }, ...this.lines()],
      bands: this.method === "stack" ? this.fields.slice(1).map((_, place) => ({ series: [place + 2, place + 1] })) : [],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        ...(this.sync && { sync: { key: this.sync, scales: ["x", null], filters: { pub: (type) => /^mouse(move|leave)$/.test(type) } } }),
      },
      hooks: { setSelect: [(plot) => this.zoom(plot)], setLegend: [(plot) => this.showNewest(plot)] },
    };
    this.plot?.destroy();
    this.box.textContent = "";
    this.plot = new uPlot(options, this.drawn(), this.box);
    this.plot.over.ondblclick = () => this.show(this.from, null);
    touchAsMouse(this.plot.over);
    this.showNewest(this.plot);
  }

  lines() {
    return this.fields.map((name, place) => {
      const colour = COLOURS[place % COLOURS.length];
      return {
        label: this.labels[place] || name,
        stroke: colour,
        width: 1.5,
        fill: this.method === "line" ? undefined : `${colour}${this.method === "stack" ? "99" : "44"}`,
        value: (_plot, _drawn, _series, index) => this.dropstar.number(this.data[place + 1][index], this.unit),
      };
    });
  }

  // The ends of the scale: round ones, or those that the page wants at least.
  extent(min, max) {
    const [low, high] = this.limits;
    // Sums of rounded percentages are a little over their end. Nothing but zeros stands on the ground of a scale of one.
    const [bottom, top] = [Math.min(min ?? 0, low ?? Infinity), Math.max(max ?? 0, high ?? -Infinity)];
    const [from, to] = bottom === 0 && top === 0 ? [0, 1] : uPlot.rangeNum(bottom, top, 0.1, true);
    return [low !== null && bottom >= low ? low : from, high !== null && top <= high * 1.02 ? high : to];
  }

  zoom(plot) {
    const { left, width } = plot.select;
    if (width < 5) return;
    const window = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")].map(Math.round);
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (window[1] > window[0]) this.show(this.from, window);
  }

  // While nothing is pointed at, the legend tells the newest sample.
  showNewest(plot) {
    const newest = this.data[0].length - 1;
    if (newest >= 0 && (plot.legend.idx === null || plot.legend.idx === undefined)) plot.setLegend({ idx: newest }, false);
  }

  append({ time: sampled, values }) {
    if (!this.isSeen || this.window) return;
    if (!this.plot) return this.reloadSoon(FIRST_RELOAD);
    if (this.fields.some((name) => values[name] === undefined)) return this.reloadSoon(RELOAD_EVERY);
    const [times] = this.data;
    // What was read stands at the ends of its steps. A sample within a step stands for it until a newer one comes.
    if (this.isWithin) for (const column of this.data) column.pop();
    this.isWithin = false;
    if (sampled <= (times.at(-1) ?? 0)) return;
    this.isWithin = sampled % this.step !== 0;
    const oldest = sampled - secondsOf(this.from);
    times.push(sampled);
    this.fields.forEach((name, place) => this.data[place + 1].push(values[name]));
    while (times.length > POINTS_MAX || times[0] < oldest) for (const column of this.data) column.shift();
    this.range = [oldest, sampled];
    const isPointedAt = this.plot.cursor.left >= 0;
    this.plot.setData(this.drawn());
    if (!isPointedAt) this.plot.setLegend({ idx: times.length - 1 }, false);
  }

  reloadSoon(wait) {
    if (this.reloading) return;
    this.reloading = setTimeout(() => {
      this.reloading = 0;
      if (!this.window && !document.hidden) this.load();
    }, wait);
  }
}

// A finger drawn sideways zooms as the mouse does; up and down it scrolls the page.
function touchAsMouse(over) {
  const pass = (type, event, target = over) => {
    if (event.pointerType !== "touch") return;
    const { clientX, clientY } = event;
    target.dispatchEvent(new MouseEvent(type, { clientX, clientY, button: 0, bubbles: true }));
  };
  over.addEventListener("pointerdown", (event) => {
    pass("mousemove", event);
    pass("mousedown", event);
  });
  over.addEventListener("pointermove", (event) => pass("mousemove", event));
  for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, (event) => pass("mouseup", event, document));
}

// Draws the series that an element names and keeps it up to date.
export async function draw(element, dropstar) {
  addStyle();
  const chart = new Chart(element, dropstar);
  dropstar.on("series", chart.series, (event) => chart.append(event));
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    chart.isSeen = true;
    chart.load();
  }, { rootMargin: "200px" });
  chart.box.style.minHeight = `${chart.height}px`;
  seen.observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.plot && chart.draw());
  new ResizeObserver(() => {
    const width = Math.max(200, element.clientWidth);
    if (chart.plot && chart.plot.width !== width) chart.plot.setSize({ width, height: chart.plot.height });
  }).observe(element);
}
