// Keeps the shop's page up to date, and draws what is over time: final windows as solid
// lines, provisional ones dashed. Without this script the page's tables have the numbers.
import { HEIGHT, adapt, amounts, axis, colour, follow, fromZero, replace, say, utc } from "./common.js";

const plots = new Map();
let charts = {};

// Two columns for each line: its final windows, and its provisional ones. What is
// provisional begins at the last final window, so that there is no gap between them.
function columns(chart) {
  const of = chart.values.flatMap((values) => {
    const final = values.map((value, n) => (chart.is_final[n] ? value : null));
    const open = values.map((value, n) =>
      (!chart.is_final[n] || (n + 1 < values.length && !chart.is_final[n + 1]) ? value : null));
    return [final, open];
  });
  return [chart.at, ...of];
}

// A span that was chosen by dragging is another page.
function choose(plot) {
  const { left, width } = plot.select;
  if (width < 4) return;
  const text = (at) => new Date(at * 1000).toISOString().slice(0, 19) + "Z";
  const query = new URLSearchParams(location.search);
  query.delete("span");
  query.set("from", text(Math.floor(plot.posToVal(left, "x"))));
  query.set("until", text(Math.ceil(plot.posToVal(left + width, "x"))));
  location.search = query;
}

// Whoever hides a line hides both of its columns.
function both(plot, n, { show }) {
  if (n % 2 === 1 && show !== undefined && plot.series[n + 1].show !== show) plot.setSeries(n + 1, { show });
}

// Half a window of air on both sides, so that there is a place for a single one.
function around(plot, first, last) {
  const at = plot.data[0];
  const steps = at.slice(1).map((start, n) => start - at[n]);
  const half = Math.min(...(steps.length ? steps : [3600])) / 2;
  // Of a single window the library makes years up.
  return at.length === 1 ? [at[0] - half, at[0] + half] : [(first ?? 0) - half, (last ?? 0) + half];
}

function build(box) {
  const chart = charts[box.dataset.lines];
  plots.get(box)?.plot.destroy();
  const stamp = (at) => new Date(at * 1000).toISOString();
  const time = (_, all, __, ___, step) => all.map((at) => (step < 86400 && at % 86400 ? stamp(at).slice(11, 16) : stamp(at).slice(5, 10)));
  const value = (_, v) => (v === null || v === undefined ? "–" : v.toLocaleString("en"));
  const lines = chart.lines.flatMap((label, n) => {
    const line = { stroke: colour(`--c${n % 7}`), width: 2, points: { size: 5 }, value };
    return [{ ...line, label }, { ...line, label: `${label}, provisional`, dash: [5, 4], points: { size: 5, fill: colour("--card") } }];
  });
  const plot = new uPlot({
    width: box.clientWidth, height: box.closest(".first") ? 300 : HEIGHT, tzDate: utc,
    // Of each line one entry; the other one is known by its dashes.
    legend: { live: false }, cursor: { drag: { x: true, y: false, setScale: false } },
    hooks: { setSelect: [choose], setSeries: [both] },
    scales: { x: { range: around }, y: fromZero },
    axes: [{ ...axis(), space: 60, values: time }, amounts()],
    series: [{ label: "window" }, ...lines],
  }, columns(chart), box);
  plots.set(box, { plot, lines: chart.lines.join() });
}

function draw() {
  for (const box of document.querySelectorAll("[data-lines]")) {
    const chart = charts[box.dataset.lines];
    const there = plots.get(box);
    if (there?.lines === chart.lines.join()) there.plot.setData(columns(chart));
    else build(box);
  }
}

follow({
  shop: (text) => {
    const told = JSON.parse(text);
    say("");
    told.parts.forEach(replace);
    charts = told.charts;
    draw();
  },
  away: (text) => say(`The numbers cannot be had now: ${text}`),
});
adapt(
  () => plots.forEach(({ plot }, box) => plot.setSize({ width: box.clientWidth, height: plot.height })),
  () => plots.forEach((_, box) => build(box)),
);
