// SPDX-License-Identifier: MIT OR Apache-2.0
/** The demo page's charts (uPlot): single answers with their bounds as error bars, and a histogram of round trips. */
import uPlot from "/uplot.js";

const BUCKETS = 24;
/** Widths of a bucket, ms. */
const WIDTHS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];
const HEIGHT = 230;

const at = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const axis = { stroke: () => color("--quiet"), grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false } };
const inMilliseconds = (_, splits) => splits.map((split) => `${split} ms`);
const clockTimes = (_, splits) => splits.map((split) => new Date(split * 1000).toLocaleTimeString(undefined, { minute: "2-digit", second: "2-digit" }));
const size = (id) => ({ width: at(id).clientWidth, height: HEIGHT });

let answers = [];

function errorBars(plot) {
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = color("--brass");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  for (const { when, offset, bound } of answers) {
    const x = plot.valToPos(when, "x", true);
    ctx.moveTo(x, plot.valToPos((offset - bound) * 1000, "y", true));
    ctx.lineTo(x, plot.valToPos((offset + bound) * 1000, "y", true));
  }
  ctx.stroke();
  ctx.restore();
}

/** All bars, and a little air. */
function reach() {
  if (answers.length === 0) return [-1, 1];
  const least = Math.min(...answers.map(({ offset, bound }) => (offset - bound) * 1000));
  const most = Math.max(...answers.map(({ offset, bound }) => (offset + bound) * 1000));
  return [least - (most - least) * 0.08, most + (most - least) * 0.08];
}

const offsets = new uPlot({
  ...size("offsets"),
  // Half a minute at least, so that the first answers do not race along.
  scales: { x: { range: (_, first, last) => (first === null ? [0, 30] : [first - 1, Math.max(last, first + 30) + 1]) }, y: { range: reach } },
  axes: [{ ...axis, values: clockTimes }, { ...axis, size: 64, values: inMilliseconds }],
  series: [{}, { stroke: () => color("--brass"), paths: () => null, points: { show: true, size: 7, fill: () => color("--brass") } }],
  hooks: { draw: [errorBars] },
  cursor: { show: false },
}, [[], []], at("offsets"));

let width = WIDTHS[0];
const histogram = new uPlot({
  ...size("histogram"),
  scales: { x: { time: false, range: () => [0, BUCKETS * width] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
  axes: [{ ...axis, values: inMilliseconds }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50] }],
  series: [{}, { stroke: () => color("--brass"), fill: () => color("--brass"), paths: uPlot.paths.bars({ size: [0.85, 60] }), points: { show: false } }],
  cursor: { show: false },
}, [[], []], at("histogram"));

addEventListener("resize", () => {
  offsets.setSize(size("offsets"));
  histogram.setSize(size("histogram"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  offsets.redraw();
  histogram.redraw();
});

/** Draw these answers, and say them in words for whoever does not see the charts. */
export function drawCharts(given, milliseconds) {
  answers = given;
  offsets.setData([answers.map(({ when }) => when), answers.map(({ offset }) => offset * 1000)]);
  const delays = answers.map(({ delay }) => delay * 1000);
  const [least, most] = [Math.min(...delays), Math.max(...delays)];
  width = WIDTHS.find((one) => one * BUCKETS > most) ?? WIDTHS.at(-1);
  const counts = Array.from({ length: BUCKETS }, () => 0);
  for (const delay of delays) counts[Math.min(BUCKETS - 1, Math.floor(delay / width))] += 1;
  histogram.setData([counts.map((_, i) => (i + 0.5) * width), counts.map((count) => count || null)]);
  const [low, high] = [Math.min(...answers.map(({ offset }) => offset)), Math.max(...answers.map(({ offset }) => offset))];
  at("offsets-told").textContent = `${answers.length} answer${answers.length === 1 ? "" : "s"}, from ${milliseconds(low)} to ${milliseconds(high)}.`;
  at("histogram-told").textContent = `From ${least.toFixed(1)} ms to ${most.toFixed(1)} ms; the shortest tell most.`;
}
