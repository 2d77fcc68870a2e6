// SPDX-License-Identifier: MIT OR Apache-2.0
// The offset plot: one strip a scenario, our two algorithms over each other, chrony's rms as a band. Plain SVG 1.1.

import type { Algorithm } from "./core.ts";
import { run } from "./run.ts";
import type { Scenario } from "./scenario.ts";

const WIDTH = 960;
const STRIP = 120;
const LEFT = 190;
const COLOURS: Record<Algorithm, string> = { "pll-fll": "#c96", estimator: "#069" };

export function plot(scenarios: readonly Scenario[], seed: number): string {
  const strips = scenarios.map((scenario, index) => strip(scenario, seed, index * STRIP + 30));
  const height = scenarios.length * STRIP + 40;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="8" y="18">offset of the simulated clock: estimator (blue), PLL/FLL (orange), chrony's rms (grey band); seed ${seed}</text>`,
    ...strips,
    `</svg>`,
  ].join("\n");
}

function strip(scenario: Scenario, seed: number, top: number): string {
  // A point a pixel; the strip would not show more.
  const traceEvery = Math.ceil(scenario.duration / (WIDTH - LEFT - 10));
  const traces = (["pll-fll", "estimator"] as const).map((algorithm) => {
    const { trace } = run(scenario, { algorithm, seed, traceEvery });
    return { algorithm, trace };
  });
  const from = Math.floor(scenario.statisticsFrom / traceEvery / 4);
  const scale = Math.max(...traces.map(({ trace }) => extent(trace.subarray(from))), 1e-6);
  const middle = top + STRIP / 2;
  const half = STRIP / 2 - 8;
  const band = Math.min(half, (((scenario.chrony.rms ?? 0) * 1e-6) / scale) * half);
  return [
    `<rect x="${LEFT}" y="${(middle - band).toFixed(1)}" width="${WIDTH - LEFT - 10}" height="${(2 * band).toFixed(1)}" fill="#ddd"/>`,
    `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${middle}" y2="${middle}" stroke="#999" stroke-width="0.5"/>`,
    ...traces.map(({ algorithm, trace }) => path(trace, middle, half / scale, COLOURS[algorithm])),
    `<text x="8" y="${middle - 8}">${escape(scenario.name)}</text>`,
    `<text x="8" y="${middle + 8}" fill="#666">±${(scale * 1e6).toFixed(0)} µs, ${scenario.duration / 3600} h</text>`,
  ].join("\n");
}

function extent(trace: Float64Array): number {
  return trace.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function path(trace: Float64Array, middle: number, scale: number, colour: string): string {
  const step = (WIDTH - LEFT - 10) / trace.length;
  const limit = STRIP / 2 - 4;
  const points = Array.from(trace, (value, index) => {
    const y = middle - Math.max(-limit, Math.min(limit, value * scale));
    return `${(LEFT + index * step).toFixed(1)},${y.toFixed(1)}`;
  });
  return `<polyline fill="none" stroke="${colour}" stroke-width="0.7" points="${points.join(" ")}"/>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
