// SPDX-License-Identifier: MIT OR Apache-2.0
/** The demo page of escapement/browser: node build/demo-browser.mjs serves it, with a relay and servers of its own. */
import uPlot from "/uplot.js";

const at = (id) => document.getElementById(id);
const milliseconds = (seconds, digits = 1) => `${(seconds * 1000).toFixed(digits)} ms`;

// --- the slider: everything that this page sends waits so long ---

let hold = 0;
const Plain = WebSocket;
/** A WebSocket with a slow way out. Frames keep their order. */
globalThis.WebSocket = class extends Plain {
  send(data) {
    const octets = data.slice();
    setTimeout(() => this.readyState === Plain.OPEN && super.send(octets), hold);
  }
};
at("hold").addEventListener("input", ({ target }) => {
  hold = Number(target.value);
  at("held").textContent = `${hold} ms`;
});

const { measure, query, startClock } = await import("/index.js");
const { relay, roughtime, ahead } = await (await fetch("/demo.json")).json();

// --- the clock ---

/** What this computer's clock was at the first agreement: what the slider does afterwards is held against it. */
let clock;
startClock({ relay, minPoll: 2, maxPoll: 4 }).then((started) => (clock = started), fail);

function fail(error) {
  at("verdict").textContent = "no time to be had";
  at("detail").textContent = error.message;
}

function draw() {
  const date = clock ? clock.now() : new Date();
  const two = (number) => String(number).padStart(2, "0");
  at("clock").innerHTML = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}<small>.${Math.floor(date.getMilliseconds() / 100)}</small>`;
  at("date").textContent = date.toLocaleDateString(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  requestAnimationFrame(draw);
}
draw();

setInterval(() => {
  if (!clock) return;
  const { systemOffset, uncertainty, frequencyPpm, survivors } = clock.state;
  const away = Math.abs(systemOffset);
  const verdict = away <= uncertainty ? `your computer is right, within ${milliseconds(uncertainty, 0)}` : `your computer is ${milliseconds(away, 0)} ${systemOffset > 0 ? "slow" : "fast"} ± ${milliseconds(uncertainty, uncertainty < 0.01 ? 1 : 0)}`;
  if (at("verdict").textContent !== verdict) at("verdict").textContent = verdict;
  at("detail").textContent = `${survivors} source${survivors === 1 ? "" : "s"} followed · this computer's timer is corrected by ${frequencyPpm.toFixed(2)} ppm · the clock above never goes backwards`;
}, 500);

// --- single answers: offset with its bound, delay ---

const KEPT = 120;
const BUCKETS = 24;
const answers = [];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const axis = { stroke: () => color("--quiet"), grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false } };
const size = (id) => ({ width: at(id).clientWidth, height: 220 });

function errorBars(u) {
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = color("--brass");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (const { when, offset, bound } of answers) {
    const x = u.valToPos(when, "x", true);
    ctx.moveTo(x, u.valToPos((offset - bound) * 1000, "y", true));
    ctx.lineTo(x, u.valToPos((offset + bound) * 1000, "y", true));
  }
  ctx.stroke();
  ctx.restore();
}

const offsets = new uPlot({
  ...size("offsets"),
  scales: { y: { range: () => { const all = answers.flatMap(({ offset, bound }) => [(offset - bound) * 1000, (offset + bound) * 1000]); return all.length ? [Math.min(...all) - 2, Math.max(...all) + 2] : [-1, 1]; } } },
  axes: [axis, { ...axis, size: 60, values: (_, splits) => splits.map((split) => `${split} ms`) }],
  series: [{}, { stroke: () => color("--brass"), paths: () => null, points: { show: true, size: 6, fill: () => color("--brass") } }],
  hooks: { draw: [errorBars] },
}, [[], []], at("offsets"));

const histogram = new uPlot({
  ...size("histogram"),
  scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(1, most)] } },
  axes: [{ ...axis, values: (_, splits) => splits.map((split) => `${split} ms`) }, { ...axis, size: 40 }],
  series: [{}, { stroke: () => color("--brass"), fill: () => color("--brass"), paths: uPlot.paths.bars({ size: [0.9, 60] }), points: { show: false } }],
}, [[], []], at("histogram"));

addEventListener("resize", () => {
  offsets.setSize(size("offsets"));
  histogram.setSize(size("histogram"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  offsets.redraw();
  histogram.redraw();
});

function show() {
  offsets.setData([answers.map(({ when }) => when), answers.map(({ offset }) => offset * 1000)]);
  const delays = answers.map(({ delay }) => delay * 1000);
  const width = Math.max(0.5, Math.ceil(Math.max(...delays) / BUCKETS * 2) / 2);
  const counts = Array.from({ length: BUCKETS }, () => 0);
  for (const delay of delays) counts[Math.min(BUCKETS - 1, Math.floor(delay / width))] += 1;
  histogram.setData([counts.map((_, i) => (i + 0.5) * width), counts]);
  const { offset, bound } = answers.at(-1);
  const span = Math.max(bound, Math.abs(offset - ahead)) * 2.4;
  const place = (value) => `${50 + ((value - ahead) / span) * 50}%`;
  const bar = at("bar");
  bar.replaceChildren(...["i", "b", "b"].map((name) => document.createElement(name)));
  const [band, estimate, truth] = bar.children;
  Object.assign(band.style, { left: place(offset - bound), width: `${(bound / span) * 100}%` });
  estimate.style.left = place(offset);
  truth.style.left = place(ahead);
  truth.className = "truth";
  const inside = Math.abs(offset - ahead) <= bound;
  at("explain").textContent = `The last answer says ${milliseconds(offset)} ± ${milliseconds(bound)} (brass); in truth the relay is ${milliseconds(ahead, 0)} ahead (green): ${milliseconds(Math.abs(offset - ahead))} off, ${inside ? "inside" : "OUTSIDE"} the bound.`;
}

async function ask() {
  const { offset, bound, delay } = await measure({ relay, samples: 1 });
  answers.push({ when: Date.now() / 1000, offset, bound, delay });
  if (answers.length > KEPT) answers.shift();
  show();
}
(async function go() {
  await ask().catch(() => {});
  setTimeout(go, 1000);
})();

// --- who signed what ---

async function signed() {
  const rows = [];
  const row = (...cells) => rows.push(cells);
  const own = answers.at(-1);
  if (own) row("the relay itself", `${milliseconds(own.offset)} ± ${milliseconds(own.bound)}`, "nobody but the page's own connection");
  for (const { name, source } of roughtime) {
    try {
      const sample = await query(source, { relay, timeout: 3 });
      row(name, `${milliseconds(sample.offset)} ± ${milliseconds(sample.rootDistance)}`, `Ed25519 key ${source.split("#")[1].slice(0, 8)}…, checked in this page`);
    } catch (error) {
      row(name, "–", `no answer that its key signed (${error.code ?? error.message})`);
    }
  }
  at("signed").replaceChildren(...rows.map((cells) => {
    const line = document.createElement("tr");
    line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return line;
  }));
  setTimeout(signed, 5000);
}
setTimeout(signed, 1500);
