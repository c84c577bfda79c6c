// Keeps a page up to date: replaces the parts that have changed, lets charts grow, and
// says when the pipeline is gone. Without this script the page is as it was sent.
"use strict";

const live = document.body.dataset.live;
const colour = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();
const LONGEST = 600;
const HEIGHT = 200;

// What each chart shows of a point: names of its lines, and their values.
let views = [];
const charts = {
  rates: { lines: () => ["events/s", "rows/s"], of: (p) => [p.events, p.rows] },
  lag: { lines: () => ["messages"], of: (p) => [p.lag] },
  behind: { lines: () => views, of: (p) => views.map((_, n) => p.behind[n] ?? null) },
};
let points = [];

function columns(chart) {
  const values = points.map(chart.of);
  return [points.map((p) => p.at), ...chart.lines().map((_, n) => values.map((v) => v[n]))];
}

function build() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const chart = charts[box.dataset.chart];
    chart.plot?.destroy();
    const time = (_, all) => all.map((at) => new Date(at * 1000).toISOString().slice(11, 19));
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    const line = (label, n) => ({ label, stroke: colour(`--c${n % 7}`), width: 2, spanGaps: false });
    chart.plot = new uPlot({
      width: box.clientWidth, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"), height: HEIGHT, legend: { live: false },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.05)] } },
      axes: [{ ...axis, space: 80, values: time }, { ...axis, size: 70, values: (_, all) => all.map((v) => v.toLocaleString("en")) }],
      series: [{}, ...chart.lines().map(line)],
    }, columns(chart), box);
  }
}

function table(name) {
  const chart = charts[name];
  const box = document.querySelector(`[data-table="${name}"]`);
  if (!box.closest("details").open) return;
  const cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  const row = (kind, texts) => {
    const line = document.createElement("tr");
    line.append(...texts.map((text) => cell(kind, text)));
    return line;
  };
  const lines = points.slice(-60).reverse().map((p) => row("td", [
    new Date(p.at * 1000).toISOString().slice(11, 19),
    ...chart.of(p).map((v) => (v === null ? "–" : v.toLocaleString("en"))),
  ]));
  const all = document.createElement("table");
  all.append(row("th", ["time (UTC)", ...chart.lines()]), ...lines);
  box.replaceChildren(all);
}

function draw() {
  for (const [name, chart] of Object.entries(charts)) {
    chart.plot?.setData(columns(chart));
    table(name);
  }
}

function say(text) {
  const line = document.getElementById("connection");
  line.hidden = text === "";
  line.textContent = text;
}

const shown = new Map();
function replace([id, html]) {
  if (shown.get(id) === html) return;
  shown.set(id, html);
  const part = document.getElementById(id);
  // Whoever reads or has chosen something in it shall not lose the place.
  const focus = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const template = document.createElement("template");
  template.innerHTML = html;
  part.replaceChildren(template.content);
  if (focus) part.querySelector(`[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

function follow() {
  const events = new EventSource(live);
  events.addEventListener("beginning", (event) => {
    ({ views, points } = JSON.parse(event.data));
    say("");
    build();
  });
  events.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    change.parts.forEach(replace);
    points.push(change.point);
    if (points.length > LONGEST) points.shift();
    draw();
  });
  events.addEventListener("error", () => {
    say("The pipeline does not answer. What is shown is as it was; it is asked again by itself.");
    // Browsers ask again by themselves, but not after an answer that was none.
    if (events.readyState === EventSource.CLOSED) {
      events.close();
      setTimeout(follow, 2000);
    }
  });
}

if (live) {
  follow();
  const size = () => document.querySelectorAll("[data-chart]").forEach((box) =>
    charts[box.dataset.chart].plot?.setSize({ width: box.clientWidth, height: HEIGHT }));
  window.addEventListener("resize", size);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", draw));
}
