// What the pages' scripts have in common: colours, axes, parts that are replaced, and the
// line that says when the pipeline is gone.
export const HEIGHT = 200;

export const colour = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();

export const utc = (at) => uPlot.tzDate(new Date(at * 1000), "UTC");

export const axis = () => ({
  stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") },
});

export const amounts = () => ({
  ...axis(), values: (_, all) => all.map((v) => v.toLocaleString("en")),
  size: (_, texts) => 24 + 7 * Math.max(4, ...(texts ?? []).map((text) => text.length)),
});

export const fromZero = { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.05)] };

export function say(text) {
  const line = document.getElementById("connection");
  line.hidden = text === "";
  line.textContent = text;
}

const shown = new Map();

// Replaces a part of the page, if it is another than before.
export function replace([id, html]) {
  if (shown.get(id) === html) return;
  shown.set(id, html);
  const part = document.getElementById(id);
  // Whoever reads or has chosen something in it shall not lose the place.
  const focus = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const open = new Set([...part.querySelectorAll("details[data-keep][open]")].map((one) => one.dataset.keep));
  const scrolled = [...part.querySelectorAll(".wide")].map((box) => [box.scrollLeft, box.scrollTop]);
  const template = document.createElement("template");
  template.innerHTML = html;
  part.replaceChildren(template.content);
  part.querySelectorAll("details[data-keep]").forEach((one) => { one.open = open.has(one.dataset.keep); });
  part.querySelectorAll(".wide").forEach((box, n) => { [box.scrollLeft, box.scrollTop] = scrolled[n] ?? [0, 0]; });
  if (focus) part.querySelector(`[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

// Hears the page's events, for ever. `hear` has a function for each kind of event.
export function follow(hear) {
  const events = new EventSource(document.body.dataset.live);
  for (const [kind, each] of Object.entries(hear)) {
    events.addEventListener(kind, (event) => each(event.data));
  }
  events.addEventListener("error", () => {
    say("The pipeline does not answer. What is shown is as it was; it is asked again by itself.");
    // Browsers ask again by themselves, but not after an answer that was none.
    if (events.readyState === EventSource.CLOSED) {
      events.close();
      setTimeout(() => follow(hear), 2000);
    }
  });
}

// Calls `size` when the window has another size, and `build` when other colours are asked for.
export function adapt(size, build) {
  window.addEventListener("resize", size);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
}
