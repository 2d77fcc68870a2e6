// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the daemon's server does: answers a second, by kind and reason, and who asked last. Hidden where nobody is served.
 *
 * @module
 */

import type { DashboardState } from "../daemon/dashboard.ts";
import { age } from "../daemon/numbers.ts";
import { at, Rows, say, show } from "./elements.ts";

/** Rates are over so long, ms. */
const OVER_MS = 10_000;

type Totals = Readonly<Record<string, number>>;
interface Counter {
  readonly name: string;
  readonly total: number;
  readonly rate: number | undefined;
}

/** Of what is always shown, though it may be nought. */
const ALWAYS = new Set(["received", "answered", "dropped"]);
const seen: { at: number; totals: Totals }[] = [];

const counters = new Rows<Counter>(at("counters"), {
  keyOf: ({ name }) => name,
  columns: [
    { tag: "th", fill: (cell, { name }) => say(cell, wordsOf(name)) },
    { name: "number", fill: (cell, { rate }) => say(cell, rate === undefined ? "-" : rateText(rate)) },
    { name: "number", fill: (cell, { total }) => say(cell, total.toLocaleString("en")) },
  ],
});

const clients = new Rows<DashboardState["clients"][number]>(at("clients"), {
  keyOf: ({ address }) => address,
  columns: [
    { tag: "th", fill: (cell, { address }) => say(cell, address) },
    { name: "number", fill: (cell, { requests }) => say(cell, requests.toLocaleString("en")) },
    { name: "number", fill: (cell, { dropped }) => say(cell, dropped.toLocaleString("en")) },
    { name: "number", fill: (cell, { authenticated }) => say(cell, authenticated.toLocaleString("en")) },
    { name: "number", fill: (cell, { interleaved }) => say(cell, interleaved.toLocaleString("en")) },
    { name: "number", fill: (cell, { interval }) => say(cell, interval === undefined ? "-" : `${interval.toFixed(1)} s`) },
    { name: "number", fill: (cell, { last }) => say(cell, `${age(last)} s ago`.replace(/([mhd]) s/, "$1")) },
  ],
});

/** "kissesRate" as "kisses rate". */
function wordsOf(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

export function showServer({ serverstats, clients: asked }: DashboardState): void {
  for (const section of document.querySelectorAll<HTMLElement>(".serving")) show(section, serverstats !== null);
  show(document.querySelector<HTMLElement>(".asking")!, asked.length > 0);
  clients.show(asked);
  if (!serverstats) return;
  const { ke = {}, ...stats } = serverstats.stats;
  const totals: Totals = { ...serverstats.counters, ...stats, ...named("NTS keys", ke), ...named("Roughtime", serverstats.roughtime ?? {}) };
  const before = remember(totals);
  const told = Object.entries(totals).filter(([name, total]) => total > 0 || ALWAYS.has(name));
  counters.show(told.map(([name, total]) => ({ name, total, rate: before && ratePer(total - (before.totals[name] ?? 0), before.at) })));
  say(at("rate"), before ? rateText(ratePer(totals["answered"]! - (before.totals["answered"] ?? 0), before.at)) : "–");
}

/** Numbers of one kind, which have names in common with others. */
function named(kind: string, counts: object): Totals {
  return Object.fromEntries(Object.entries(counts).map(([name, value]) => [`${kind}: ${name}`, value as number]));
}

/** The totals of some seconds ago. A daemon that was started anew begins from nought. */
function remember(totals: Totals): { at: number; totals: Totals } | undefined {
  const now = performance.now();
  if (seen.length > 0 && totals["received"]! < seen[seen.length - 1]!.totals["received"]!) seen.length = 0;
  const [first] = seen;
  seen.push({ at: now, totals });
  while (seen.length > 2 && now - seen[1]!.at > OVER_MS) seen.shift();
  return first;
}

function ratePer(count: number, since: number): number {
  return count / Math.max(0.001, (performance.now() - since) / 1000);
}

export function rateText(rate: number): string {
  return rate === 0 ? "0" : rate < 10 ? rate.toFixed(2) : Math.round(rate).toLocaleString("en");
}
