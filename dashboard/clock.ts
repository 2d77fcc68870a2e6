// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The running clock, which is the daemon's and not the browser's: the time of the last answer, and this page's timer since
 * then; and what is known of it.
 *
 * @module
 */

import type { DashboardState } from "../daemon/dashboard.ts";
import { codeOf, leapText, seconds, signed } from "../daemon/numbers.ts";
import type { TrackingReport } from "../daemon/report.ts";
import { at, made, say } from "./elements.ts";

const WHOSE: Readonly<Record<TrackingReport["mode"], string>> = { system: "the system clock", virtual: "a virtual clock", observe: "observes the system clock" };
/** What somebody who asked for little motion sees moving is one digit a second. */
const still = matchMedia("(prefers-reduced-motion: reduce)");
const pad = (value: number) => String(value).padStart(2, "0");

/** The daemon's clock less this page's timer, ms. */
let ahead: number | undefined;
let wasSynchronised: boolean | undefined;

/** The daemon's clock, ms since 1970; undefined before the first answer. */
export function nowMs(): number | undefined {
  return ahead === undefined ? undefined : ahead + performance.now();
}

/** `told` was the time at some moment between `sentAt` and `receivedAt` of this page's timer, most likely in the middle. */
export function setClock(told: string, sentAt: number, receivedAt: number): void {
  const next = Number(BigInt(told) / 1000n) / 1000 - (sentAt + receivedAt) / 2;
  const narrow = receivedAt - sentAt < 20;
  // What was held up on its way says little; what is far off was stepped.
  if (ahead === undefined || narrow || Math.abs(next - ahead) > receivedAt - sentAt) ahead = next;
}

export function runClock(): void {
  const [time, fraction] = [document.createTextNode(""), made("small")];
  const tick = () => {
    const now = nowMs();
    if (now !== undefined) {
      if (!time.parentNode) at("clock").replaceChildren(time, fraction);
      const date = new Date(now);
      const text = `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`;
      if (time.data !== text) time.data = text;
      say(fraction, still.matches ? "" : `.${Math.floor(date.getUTCMilliseconds() / 100)}`);
      say(at("date"), `${date.toUTCString().slice(0, 16)}, UTC · here ${date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}`);
    }
    requestAnimationFrame(tick);
  };
  tick();
}

/** Who runs it, whether it is right, and its figures. */
export function showClock({ host, tracking }: DashboardState, announce: (text: string) => void): void {
  const { synchronised } = tracking;
  say(at("where"), `escapement on ${host} · ${WHOSE[tracking.mode]}`);
  document.title = `${synchronised ? "" : "not synchronised: "}${host}, escapement`;
  say(at("badge"), synchronised ? "synchronised" : "not synchronised");
  document.body.classList.remove("waiting");
  document.body.classList.toggle("synchronised", synchronised);
  document.body.classList.toggle("unsynchronised", !synchronised);
  say(at("verdict"), verdict(tracking));
  if (wasSynchronised !== synchronised) announce(synchronised ? `The clock is synchronised, ${verdict(tracking)}` : "The clock is not synchronised");
  wasSynchronised = synchronised;
  showFacts(factsOf(tracking));
}

/** What was known of it may not be so any more; the time goes on, by this page's timer. */
export function forgetClock(): void {
  wasSynchronised = undefined;
  document.body.classList.remove("synchronised", "unsynchronised");
  document.title = "no answer: escapement";
  say(at("badge"), "no answer");
  say(at("verdict"), "");
}

/** The time shown is the right one in mode "observe", too: what is off is the system clock. */
function verdict({ mode, offset, uncertainty }: TrackingReport): string {
  if (offset === null) return uncertainty === null ? "nothing is known of its error yet" : `off by at most ${seconds(uncertainty)}`;
  return `${mode === "observe" ? "the system clock is " : ""}off by ${seconds(offset, { sign: true })}${uncertainty === null ? "" : ` ± ${seconds(uncertainty)}`}`;
}

function factsOf(tracking: TrackingReport): readonly (readonly [string, string])[] {
  const { refid, address, source, offset, frequencyPpm, rmsOffset, lastOffset, updateInterval, residualFrequencyPpm: residual } = tracking;
  const meant = address ?? codeOf(refid);
  const known = (value: number | null, sign = false) => (value === null ? "-" : seconds(value, { sign }));
  return [
    ["Follows", source ?? "nobody"],
    ["Stratum", String(tracking.stratum)],
    ["Reference ID", meant ? `${refid} (${meant})` : refid],
    ["Leap status", leapText(tracking.leap)],
    ["Against NTP time", offset === null ? "not known" : `${seconds(Math.abs(offset))} ${offset < 0 ? "fast" : "slow"}`],
    ["Frequency", `${Math.abs(frequencyPpm).toFixed(3)} ppm ${frequencyPpm < 0 ? "fast" : "slow"}`],
    ["Residual frequency", residual === null ? "-" : `${signed(residual, 3)} ppm`],
    ["Skew", `${tracking.skewPpm.toFixed(3)} ppm`],
    ["Last offset", known(lastOffset, true)],
    ["RMS offset", known(rmsOffset)],
    ["Root delay", seconds(tracking.rootDelay)],
    ["Root dispersion", seconds(tracking.rootDispersion)],
    ["Update interval", updateInterval === null ? "-" : `${updateInterval.toFixed(1)} s`],
    ["Agreeing sources", String(tracking.survivors)],
  ];
}

const shown = new Map<string, HTMLElement>();

function showFacts(facts: readonly (readonly [string, string])[]): void {
  for (const [name, value] of facts) {
    let place = shown.get(name);
    if (!place) {
      place = made("dd");
      shown.set(name, place);
      at("facts").append(made("div", "", [made("dt", "", [name]), place]));
    }
    say(place, value);
  }
}
