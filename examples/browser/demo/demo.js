// SPDX-License-Identifier: MIT OR Apache-2.0
/** The demo page of escapement/browser: `npm run demo:browser` serves it, with a relay and servers of its own. */

const at = (id) => document.getElementById(id);
/** With the unit, from which it is not parted at the end of a line. */
const milliseconds = (seconds, digits = 1) => (Math.abs(seconds) >= 1 ? `${seconds.toFixed(1)}\u00a0s` : `${(seconds * 1000).toFixed(digits)}\u00a0ms`).replace("-", "−");

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
  at("held").textContent = milliseconds(hold / 1000, 0);
});

const [{ measure, query, startClock }, { drawCharts }] = await Promise.all([import("/index.js"), import("/charts.js")]);
const { relay, ahead, signers } = await (await fetch("/demo.json")).json();

// --- the clock ---

let clock;
startClock({ relay, minPoll: 2, maxPoll: 4 }).then((started) => (clock = started), (error) => {
  at("verdict").textContent = "no time to be had";
  at("detail").textContent = error.message;
});

/** Who wants little motion is shown whole seconds. */
const still = matchMedia("(prefers-reduced-motion: reduce)");
let shown = "";

function draw() {
  const date = clock ? clock.now() : new Date();
  const two = (number) => String(number).padStart(2, "0");
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const tenths = still.matches ? "" : `.${Math.floor(date.getMilliseconds() / 100)}`;
  if (text + tenths !== shown) {
    shown = text + tenths;
    at("clock").replaceChildren(text, Object.assign(document.createElement("small"), { textContent: tenths }));
    at("date").textContent = date.toLocaleDateString(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  }
  requestAnimationFrame(draw);
}
draw();

function verdictOf({ systemOffset, uncertainty }) {
  const away = Math.abs(systemOffset);
  if (away <= uncertainty) return `your computer is right, within ${milliseconds(uncertainty, 0)}`;
  return `your computer is ${milliseconds(away, 0)} ${systemOffset > 0 ? "slow" : "fast"} ± ${milliseconds(uncertainty, uncertainty < 0.01 ? 1 : 0)}`;
}

function judge() {
  if (!clock) return;
  const { state } = clock;
  const known = Number.isFinite(state.uncertainty);
  at("verdict").textContent = known ? verdictOf(state) : "asking anew…";
  const timer = Math.abs(state.frequencyPpm) < 0.05 ? "keeps time" : `runs ${Math.abs(state.frequencyPpm).toFixed(1)} ppm ${state.frequencyPpm > 0 ? "slow" : "fast"}`;
  at("detail").textContent = `${state.survivors} source${state.survivors === 1 ? "" : "s"} followed · this computer's timer ${timer} · the clock above never goes backwards`;
}
setInterval(judge, 500);
/** Spoken now and then, not with each digit. */
setInterval(() => (at("told").textContent = clock ? at("verdict").textContent : ""), 15_000);

// --- single answers ---

const KEPT = 120;
const answers = [];

/** Where the last answer, its bound and the truth lie. */
function drawBar({ offset, bound }) {
  const span = Math.max(bound, Math.abs(offset - ahead)) * 2.4;
  const place = (value) => `${50 + ((value - ahead) / span) * 50}%`;
  const [band, estimate, truth] = at("bar").children;
  Object.assign(band.style, { left: place(offset - bound), width: `${(bound / span) * 100}%` });
  estimate.style.left = place(offset);
  truth.style.left = place(ahead);
  const off = Math.abs(offset - ahead);
  at("explain").textContent = `The last answer says ${milliseconds(offset)} ± ${milliseconds(bound)}; the relay is in truth ${milliseconds(ahead, 0)} ahead: ${milliseconds(off)} off, ${off <= bound ? "inside" : "OUTSIDE"} the bound.`;
}

async function ask() {
  const { offset, bound, delay } = await measure({ relay, samples: 2 });
  answers.push({ when: Date.now() / 1000, offset, bound, delay });
  if (answers.length > KEPT) answers.shift();
  drawCharts(answers, milliseconds);
  drawBar(answers.at(-1));
}
(async function go() {
  await ask().catch(() => {});
  setTimeout(go, 1000);
})();

// --- who signed what ---

/** A row: who, what was said, who vouches for it; and whether that was proven here. */
async function judged({ name, source, nts, by }) {
  try {
    const { offset, rootDistance, authenticated } = await query(source, { relay, timeout: 5, ...(nts ? { nts } : {}) });
    return { name, said: `${milliseconds(offset)} ± ${milliseconds(rootDistance)}`, by: `${by}, checked in this page`, kind: authenticated ? "proven" : "unsigned" };
  } catch ({ code, message }) {
    return { name, said: "–", by: code === "TIMEOUT" ? "no answer that its key signed: refused" : message, kind: "refused" };
  }
}

const MARKS = { proven: "✓", unsigned: "?", refused: "✗" };

async function showSigners() {
  const own = answers.at(-1);
  const rows = [...(own ? [{ name: "the relay itself", said: `${milliseconds(own.offset)} ± ${milliseconds(own.bound)}`, by: "nobody: whoever runs the relay can tell any time", kind: "unsigned" }] : [])];
  for (const signer of signers) rows.push(await judged(signer));
  at("signed").replaceChildren(...rows.map(({ name, said, by, kind }) => {
    const line = Object.assign(document.createElement("tr"), { className: kind });
    const mark = Object.assign(document.createElement("span"), { className: "mark", textContent: MARKS[kind], title: kind, ariaHidden: "true" });
    const cells = [[name], [said], [mark, by]].map((content) => {
      const cell = document.createElement("td");
      cell.append(...content);
      return cell;
    });
    line.append(...cells);
    return line;
  }));
  setTimeout(showSigners, 8000);
}
setTimeout(showSigners, 1500);
