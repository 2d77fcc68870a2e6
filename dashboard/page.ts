// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's page: asks /state.json each second while somebody looks, and shows what it tells. It changes nothing and
 * loads nothing from elsewhere. Tested in tests/browser/dashboard.test.ts.
 *
 * @module
 */

import type { DashboardState } from "../daemon/dashboard.ts";
import type { PastReport } from "../daemon/past.ts";
import { Asking } from "./asking.ts";
import { drawCharts, followWishes } from "./charts.ts";
import { forgetClock, runClock, setClock, showClock } from "./clock.ts";
import { Course } from "./course.ts";
import { at, say, show } from "./elements.ts";
import { showServer } from "./server.ts";
import { showSources } from "./sources.ts";

/** Older knowledge than this, s, is said to be old. */
const OLD = 5;

const course = new Course();
/** After a silence the course has a gap, which the daemon can fill. */
let begun = false;
let silence = false;

/** For those who do not see the page: only what they would want to be interrupted by. */
const announce = (text: string) => say(at("told"), text);

async function fetched<T>(path: string, signal: AbortSignal): Promise<T> {
  const response = await fetch(path, { signal, cache: "no-store" });
  if (!response.ok) throw new Error(`expected an answer to ${path}, got ${response.status}`);
  return (await response.json()) as T;
}

async function ask(signal: AbortSignal): Promise<DashboardState> {
  const past = begun ? undefined : await fetched<PastReport>("/history.json", signal);
  const sentAt = performance.now();
  const state = await fetched<DashboardState>("/state.json", signal);
  setClock(state.time, sentAt, performance.now());
  if (past) course.begin(past);
  begun = true;
  return state;
}

function heard(state: DashboardState): void {
  if (silence) announce("The daemon answers again");
  silence = false;
  document.body.classList.remove("silent");
  const old = state.age > OLD;
  say(at("silence"), old ? `The daemon is busy: this is what it knew ${Math.round(state.age)} s ago` : "");
  show(at("silence"), old);
  showClock(state, announce);
  showSources(state.sources);
  showServer(state);
  course.add(state);
  drawCharts(course.columns());
}

function silent(seconds: number): void {
  if (!silence) announce("The daemon does not answer any more");
  silence = true;
  begun = false;
  document.body.classList.add("silent");
  forgetClock();
  say(at("silence"), `The daemon has not answered for ${Math.round(seconds)} s`);
  show(at("silence"), true);
}

const asking = new Asking({ ask, heard, silent, visible: () => document.visibilityState === "visible" });
document.addEventListener("visibilitychange", () => {
  // The points of the time in between are the daemon's.
  begun = false;
  asking.now();
});
runClock();
followWishes();
asking.now();
