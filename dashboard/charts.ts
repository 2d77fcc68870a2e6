// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The charts (uPlot): offset with its bound as a band, frequency with its deviation as a band, answers a second. What a chart
 * shows is told in words below it: of now, or of the moment that is pointed at.
 *
 * @module
 */

import uPlot from "uplot";
import { seconds } from "../daemon/numbers.ts";
import type { Columns } from "./course.ts";
import { at, say } from "./elements.ts";
import { rateText } from "./server.ts";

const HEIGHT = 190;
/** s shown at least, so that the first points do not race along. */
const LEAST_SPAN = 300;
/** s between marks of time. */
const TIME_STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600];
/** What is so often the median is left out above: how a clock that has just been started came into line. */
const TAMED = 5;

type Values = readonly (number | null)[];

interface Curve {
  readonly id: string;
  readonly values: (columns: Columns) => Values;
  /** To each side. */
  readonly band?: ((columns: Columns) => Values) | undefined;
  readonly range: (values: Values, band: Values) => [number, number];
  readonly ticks: (splits: readonly number[]) => string[];
  readonly color: string;
  readonly told: (value: number, band: number | null) => string;
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faint = (name: string) => `${color(name)}38`;
const clockText = (time: number, whole: boolean) => new Date(time * 1000).toISOString().slice(11, whole ? 19 : 16);
const known = (values: Values) => values.filter((value) => value !== null);
const most = (values: Values) => Math.max(0, ...known(values).map(Math.abs));

/** The greatest, unless it is far from what is usual. */
function tamed(values: Values): number {
  const sizes = known(values).map(Math.abs).sort((a, b) => a - b);
  const usual = sizes[Math.floor(sizes.length / 2)] ?? 0;
  return usual === 0 ? (sizes.at(-1) ?? 0) : Math.min(sizes.at(-1) ?? 0, usual * TAMED);
}

/** One unit for all, as few digits as tell them apart. */
function secondTicks(splits: readonly number[]): string[] {
  const size = Math.max(...splits.map(Math.abs));
  const [factor, unit] = size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : size >= 1e-6 ? [1e6, "µs"] : [1e9, "ns"];
  return splits.map((split) => `${Number((split * factor).toPrecision(6))} ${unit}`);
}

const around = (size: number): [number, number] => [-(size || 1e-6) * 1.08, (size || 1e-6) * 1.08];

const OFFSET: Curve = {
  id: "offset",
  values: ({ offset }) => offset,
  band: ({ uncertainty }) => uncertainty,
  range: (values, band) => around(Math.max(most(values.slice(-1)), tamed(values.map((value, index) => (value === null ? null : Math.abs(value) + (band[index] ?? 0)))))),
  ticks: secondTicks,
  color: "--brass",
  told: (value, bound) => `${seconds(value, { sign: true })}${bound === null ? "" : ` ± ${seconds(bound)}`}`,
};

const FREQUENCY: Curve = {
  id: "frequency",
  values: ({ frequencyPpm }) => frequencyPpm,
  band: ({ skewPpm }) => skewPpm,
  range: (values, band) => {
    const all = known(values);
    const margin = Math.max(0.02, tamed(band), (Math.max(...all) - Math.min(...all)) * 0.08);
    return all.length === 0 ? [-1, 1] : [Math.min(...all) - margin, Math.max(...all) + margin];
  },
  ticks: (splits) => splits.map((split) => `${Number(split.toPrecision(6))} ppm`),
  color: "--steel",
  told: (value, skew) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)} ppm${skew === null ? "" : `, deviation ${skew.toFixed(3)} ppm`}`,
};

const ANSWERS: Curve = {
  id: "answers",
  values: ({ rate }) => rate,
  range: (values) => [0, Math.max(1, most(values)) * 1.1],
  ticks: (splits) => splits.map((split) => split.toLocaleString("en")),
  color: "--good",
  told: (value) => `${rateText(value)} a second`,
};

/** One chart, and the line below it. */
class Chart {
  readonly #curve: Curve;
  readonly #place: HTMLElement;
  #plot: uPlot | undefined;
  #banded = true;
  #columns: Columns | undefined;

  constructor(curve: Curve) {
    this.#curve = curve;
    this.#place = at(curve.id);
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#place.clientWidth, height: HEIGHT })).observe(this.#place);
  }

  banded(wanted: boolean): void {
    this.#banded = wanted;
    if (this.#columns) this.draw(this.#columns);
  }

  draw(columns: Columns): void {
    this.#columns = columns;
    if (this.#place.clientWidth === 0) return;
    const values = this.#curve.values(columns);
    const band = this.#band();
    const edge = (side: 1 | -1) => values.map((value, index) => (value === null || band[index] === null ? null : value + side * (band[index] ?? 0)));
    const data = [columns.time, values, edge(1), edge(-1)] as unknown as uPlot.AlignedData;
    if (this.#plot) this.#plot.setData(data);
    else this.#plot = new uPlot(this.#options(), data, this.#place);
    this.#tell(this.#plot.cursor.idx ?? null);
  }

  redraw(): void {
    this.#plot?.redraw(false, true);
  }

  #band(): Values {
    const { time = [] } = this.#columns ?? {};
    return this.#columns && this.#curve.band && this.#banded ? this.#curve.band(this.#columns) : time.map(() => null);
  }

  #tell(pointed: number | null): void {
    if (!this.#columns) return;
    const { time } = this.#columns;
    const index = pointed ?? time.length - 1;
    const value = this.#curve.values(this.#columns)[index];
    const told = value === null || value === undefined ? "not known" : this.#curve.told(value, this.#curve.band?.(this.#columns)[index] ?? null);
    say(at(`${this.#curve.id}-told`), time.length === 0 ? "Nothing yet." : `${pointed === null ? "now" : clockText(time[index]!, true)}: ${told}`);
  }

  #options(): uPlot.Options {
    const { color: name, range, ticks, values } = this.#curve;
    const axis: uPlot.Axis = { stroke: () => color("--quiet"), grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const edge: uPlot.Series = { stroke: () => faint(name), width: 1, points: { show: false } };
    const span = (first: number, last: number): [number, number] => [Math.min(first, last - LEAST_SPAN), last];
    return {
      width: this.#place.clientWidth,
      height: HEIGHT,
      scales: {
        x: { time: true, range: (_, first, last) => (first === null ? [0, LEAST_SPAN] : span(first, last)) },
        y: { range: () => (this.#columns ? range(values(this.#columns), this.#band()) : [-1, 1]) },
      },
      axes: [
        { ...axis, values: (plot, splits) => splits.map((split) => clockText(split, plot.scales["x"]!.max! - plot.scales["x"]!.min! < 2 * LEAST_SPAN)), size: 30, space: 64, incrs: TIME_STEPS },
        { ...axis, size: 76, values: (_, splits) => ticks(splits) },
      ],
      series: [{}, { stroke: () => color(name), width: 1.75, points: { show: false } }, edge, edge],
      bands: [{ series: [2, 3], fill: () => faint(name) }],
      cursor: { sync: { key: "moment" }, drag: { x: false, y: false }, points: { show: false } },
      legend: { show: false },
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx ?? null)] },
    };
  }
}

const [offset, frequency, answers] = [new Chart(OFFSET), new Chart(FREQUENCY), new Chart(ANSWERS)] as const;
const all = [offset, frequency, answers];

export function drawCharts(columns: Columns): void {
  for (const chart of all) chart.draw(columns);
}

/** Colours are those of the page, which may change at dusk; the bound may be left out, to see the offset alone. */
export function followWishes(): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all.forEach((chart) => chart.redraw()));
  const box = at("bounded") as HTMLInputElement;
  box.addEventListener("change", () => offset.banded(box.checked));
  offset.banded(box.checked);
}
