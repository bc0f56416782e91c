// Interactive charts: a series drawn by uPlot, with zoom, hover, live append and the page's colours.
//
//   <div data-chart="cpu" data-from="-1h" data-fields="user,system" data-height="240"></div>
//
// Drag to zoom into a window, double click to return; buttons choose how far back. New samples are appended as they
// come; a zoomed chart stays where it is. At most POINTS_MAX points are asked for and kept. A sample is told without the
// fields that are rates: a chart of those is read again, at most every RELOAD_EVERY.
import uPlot from "uplot";
import style from "uplot/dist/uPlot.min.css";

const POINTS_MAX = 4000;
const HEIGHT_DEFAULT = 240;
const RELOAD_EVERY = 5000;
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
.dropstar-chart { position: relative; }
.dropstar-chart-bar { display: flex; flex-wrap: wrap; gap: .25rem; margin-bottom: .25rem; }
.dropstar-chart-bar button { font: inherit; font-size: .8rem; padding: .1rem .5rem; }
.dropstar-chart-bar button[aria-pressed=true] { font-weight: bold; }
.dropstar-chart .u-legend { font-size: .8rem; text-align: left; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

function secondsOf(text) {
  const found = /^-(\d+(?:\.\d+)?)([smhdwy])$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2]] : 3600;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [limit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return `${(value / (letter === "k" ? 1e3 : limit)).toFixed(1)} ${letter}`;
  }
  return size >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

class Chart {
  constructor(element, dropstar) {
    this.element = element;
    this.dropstar = dropstar;
    this.series = element.dataset.chart;
    this.from = element.dataset.from || "-1h";
    this.isZoomed = false;
    this.range = [0, 1];
    this.reloading = 0;
    this.step = 1;
    this.plot = null;
    this.fields = [];
    this.data = [[]];
    this.box = document.createElement("div");
    element.classList.add("dropstar-chart");
    element.replaceChildren(this.buttons(), this.box);
  }

  buttons() {
    const bar = document.createElement("div");
    bar.className = "dropstar-chart-bar";
    for (const window of WINDOWS.includes(this.from) ? WINDOWS : [this.from, ...WINDOWS]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = window.slice(1);
      button.setAttribute("aria-pressed", String(window === this.from));
      button.onclick = () => {
        this.from = window;
        for (const other of bar.children) other.setAttribute("aria-pressed", String(other === button));
        this.load().catch(() => {});
      };
      bar.append(button);
    }
    return bar;
  }

  async load(window) {
    const points = Math.min(POINTS_MAX, Math.max(100, Math.round(this.element.clientWidth) || 600));
    const query = new URLSearchParams({ from: window ? window[0] : this.from, points });
    if (window) query.set("to", window[1]);
    const path = this.series.split("/").map(encodeURIComponent).join("/");
    const response = await fetch(`${this.dropstar.RPCUrl(`series/${path}.json`)}?${query}`, { credentials: "same-origin" });
    if (!response.ok) throw new Error(`${this.series}: ${response.status}`);
    const { fields, times, values, to, step } = await response.json();
    const wanted = this.element.dataset.fields ? this.element.dataset.fields.split(",").map((name) => name.trim()) : fields;
    this.fields = wanted.filter((name) => fields.includes(name));
    this.data = [times, ...this.fields.map((name) => values[fields.indexOf(name)])];
    this.step = step;
    this.isZoomed = Boolean(window);
    this.range = window || [to - secondsOf(this.from), to];
    this.draw();
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
      height: Number(this.element.dataset.height) || HEIGHT_DEFAULT,
      scales: { x: { time: true, range: () => this.range } },
      axes: [axis, { ...axis, size: 60, values: (_plot, ticks) => ticks.map(short) }],
      series: [
        {},
        ...this.fields.map((label, place) => ({
          label,
          stroke: COLOURS[place % COLOURS.length],
          width: 1.5,
          value: (_plot, value) => short(value),
        })),
      ],
      cursor: { drag: { x: true, y: false, setScale: false } },
      hooks: {
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 5) return;
            const window = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")].map(Math.round);
            plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            if (window[1] > window[0]) this.load(window).catch(() => {});
          },
        ],
      },
    };
    if (this.plot) this.plot.destroy();
    this.plot = new uPlot(options, this.data, this.box);
    this.plot.over.ondblclick = () => this.load().catch(() => {});
  }

  append({ time: sampled, values }) {
    if (this.isZoomed || !this.plot) return;
    if (this.fields.some((name) => values[name] === undefined)) return this.reloadSoon();
    const [times] = this.data;
    // What was read stands at the ends of its steps; a sample joins there.
    const time = Math.ceil(sampled / this.step) * this.step;
    if (time <= (times.at(-1) ?? 0)) return;
    const oldest = time - secondsOf(this.from);
    times.push(time);
    this.fields.forEach((name, place) => this.data[place + 1].push(values[name]));
    while (times.length > POINTS_MAX || times[0] < oldest) for (const column of this.data) column.shift();
    this.range = [oldest, time];
    this.plot.setData(this.data);
  }

  reloadSoon() {
    if (this.reloading) return;
    this.reloading = setTimeout(() => {
      this.reloading = 0;
      if (!this.isZoomed && !document.hidden) this.load().catch(() => {});
    }, RELOAD_EVERY);
  }
}

// Draws the series that an element names and keeps it up to date.
export async function draw(element, dropstar) {
  addStyle();
  const chart = new Chart(element, dropstar);
  await chart.load();
  dropstar.on("series", chart.series, (event) => chart.append(event));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
  new ResizeObserver(() => {
    const width = Math.max(200, element.clientWidth);
    if (chart.plot && chart.plot.width !== width) chart.plot.setSize({ width, height: chart.plot.height });
  }).observe(element);
}
