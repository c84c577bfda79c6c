// Keeps the pipeline's page up to date: replaces the parts that have changed, and lets
// charts grow. Without this script the page is as it was sent.
import { HEIGHT, adapt, amounts, axis, colour, follow, fromZero, replace, say, utc } from "./common.js";

const LONGEST = 600;

// What each chart shows of a point: names of its lines, and their values.
let views = [];
let partitions = [];
const topic = document.getElementById("topic");
// The places of the chosen topic's partitions among all.
const chosen = () => partitions.flatMap(([name], n) => (name === topic.value ? [n] : []));
const numbers = () => chosen().map((n) => `${partitions[n][1]}`);
const charts = {
  rates: { lines: () => ["events/s", "rows/s"], of: (p) => [p.events, p.rows] },
  lag: { lines: () => ["messages"], of: (p) => [p.lag] },
  behind: { lines: () => views, of: (p) => views.map((_, n) => p.behind[n] ?? null) },
  lags: { lines: numbers, of: (p) => chosen().map((n) => p.partitions[n][0]) },
  late: { lines: numbers, of: (p) => chosen().map((n) => p.partitions[n][1]) },
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
    const line = (label, n) => ({ label, stroke: colour(`--c${n % 7}`), width: 2, spanGaps: false });
    chart.plot = new uPlot({
      width: box.clientWidth, height: HEIGHT, tzDate: utc, legend: { live: false },
      scales: { y: fromZero },
      axes: [{ ...axis(), space: 80, values: time }, amounts()],
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

follow({
  beginning: (text) => {
    ({ views, partitions, points } = JSON.parse(text));
    say("");
    build();
  },
  change: (text) => {
    const change = JSON.parse(text);
    change.parts.forEach(replace);
    points.push(change.point);
    if (points.length > LONGEST) points.shift();
    draw();
  },
});
adapt(() => document.querySelectorAll("[data-chart]").forEach((box) =>
  charts[box.dataset.chart].plot?.setSize({ width: box.clientWidth, height: HEIGHT })), build);
topic.addEventListener("change", () => { build(); draw(); });
document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", draw));
