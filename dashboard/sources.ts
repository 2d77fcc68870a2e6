// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The table of sources, as `escapement sources -v` tells them, each with its offset as an interval on one scale for all.
 * Tested in tests/browser/dashboard.test.ts.
 *
 * @module
 */

import { age, seconds } from "../daemon/numbers.ts";
import type { SourceReport } from "../daemon/report.ts";
import { at, made, partsOf, Rows, say } from "./elements.ts";

const STATES: Readonly<Record<SourceReport["state"], string>> = { "*": "followed", "+": "combined", "-": "usable", x: "falseticker", "?": "unusable" };
const WORDS: Readonly<Record<SourceReport["state"], string>> = { "*": "followed", "+": "combined", "-": "not combined", x: "falseticker", "?": "not usable" };
/** Why a source has no say, where it does not say so itself. */
const REASONS: Readonly<Record<string, string>> = {
  selectable: "less certain than those that are combined",
  falseticker: "its interval misses the majority's",
  undecided: "too few samples yet, or no majority to agree with",
  unreachable: "it does not answer",
};
const MODES: Readonly<Record<SourceReport["mode"], string>> = { client: "", symmetric: "peer", broadcast: "broadcasts", refclock: "reference clock" };
/** IANA's numbers. */
const AEADS: Readonly<Record<number, string>> = { 15: "AES-128-CMAC-SIV", 16: "AES-192-CMAC-SIV", 17: "AES-256-CMAC-SIV", 30: "AES-128-GCM-SIV" };
const REACH_BITS = 8;

/** s to each side of the middle that the bars show. */
let scale = 1;

const rows = new Rows<SourceReport>(at("sources"), {
  keyOf: ({ source, address }) => `${source} ${address}`,
  nameOf: (source) => `${STATES[source.state]}${source.lastError === null ? "" : " wrong"}`,
  columns: [
    { name: "state", fill: fillState },
    { tag: "th", fill: fillName },
    { name: "number", label: "Stratum", fill: (cell, { stratum, used }) => say(cell, used > 0 ? String(stratum) : "-") },
    { name: "number", label: "Poll", fill: (cell, { poll }) => say(cell, `${2 ** poll} s`) },
    { name: "reach", label: "Reach", fill: fillReach },
    { name: "number", label: "Last sample", fill: (cell, { lastSample }) => say(cell, lastSample === null ? "-" : ago(lastSample)) },
    { name: "interval", fill: fillInterval },
    { name: "vouched", label: "Vouched for by", fill: (cell, source) => say(cell, vouchedBy(source)) },
    { name: "remark", fill: (cell, source) => say(cell, remarkOf(source)) },
  ],
});

export function showSources(sources: readonly SourceReport[]): void {
  scale = scaleOf(sources);
  say(at("scale"), sources.some(({ offset }) => offset !== null) ? `bars: ± ${roundText(scale)}` : "");
  rows.show(sources);
}

/** "12 s", "40 min". */
function ago(value: number): string {
  const text = age(value);
  return /\d$/.test(text) ? `${text} s` : text.replace("m", " min").replace("h", " h").replace("d", " d");
}

/** Wide enough for all but falsetickers, who may be anywhere. */
function scaleOf(sources: readonly SourceReport[]): number {
  const reach = ({ offset, rootDistance }: SourceReport) => (offset === null || rootDistance === null ? 0 : Math.abs(offset) + rootDistance);
  const honest = sources.filter(({ state }) => state !== "x");
  const most = Math.max(...(honest.some(reach) ? honest : sources).map(reach), 1e-9);
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

/** A scale, which has one digit. */
function roundText(value: number): string {
  return seconds(value).replace(/\.000(?= )/, "");
}

function fillState(cell: HTMLElement, { state }: SourceReport): void {
  const [mark, word] = partsOf(cell, () => [made("b"), made("span")]);
  say(mark, state);
  say(word, WORDS[state]);
}

function fillName(cell: HTMLElement, { source, name, address, mode, refid }: SourceReport): void {
  const [first, second] = partsOf(cell, () => [made("span"), made("small")]);
  say(first, name ?? source);
  const told = name === undefined ? address : source;
  const details = [told !== null && told !== (name ?? source) && !source.startsWith(`${told}:`) ? told : "", MODES[mode], refid === null || mode === "refclock" ? "" : `refid ${refid}`];
  say(second, details.filter(Boolean).join(" · "));
}

function fillReach(cell: HTMLElement, { reach }: SourceReport): void {
  const [dots] = partsOf(cell, () => [made("span", "", Array.from({ length: REACH_BITS }, () => made("i")))]);
  dots.setAttribute("role", "img");
  const octal = reach.toString(8).padStart(3, "0");
  const heard = Array.from({ length: REACH_BITS }, (_, index) => (reach >> (REACH_BITS - 1 - index)) & 1);
  dots.setAttribute("aria-label", `${heard.filter(Boolean).length} of the last ${REACH_BITS} requests answered, octal ${octal}`);
  dots.title = octal;
  heard.forEach((bit, index) => dots.children[index]!.classList.toggle("heard", bit === 1));
}

function fillInterval(cell: HTMLElement, { offset, rootDistance }: SourceReport): void {
  const [bar, told] = partsOf(cell, () => [made("div", "bar", [made("i"), made("b")]), made("small")]);
  const known = offset !== null && rootDistance !== null;
  say(told, known ? `${seconds(offset, { sign: true })} ± ${seconds(rootDistance)}` : "not measured yet");
  bar.hidden = !known;
  if (!known) return;
  const place = (value: number) => Math.min(100, Math.max(0, 50 + (50 * value) / scale));
  const [band, mark] = [...bar.children] as [HTMLElement, HTMLElement];
  band.style.left = `${place(offset - rootDistance)}%`;
  band.style.width = `${place(offset + rootDistance) - place(offset - rootDistance)}%`;
  mark.style.left = `${place(offset)}%`;
}

function vouchedBy({ authentication, nts, mode }: SourceReport): string {
  if (authentication === "nts") return nts && nts.aead !== 0 ? `NTS, ${AEADS[nts.aead] ?? `AEAD ${nts.aead}`}, ${nts.cookies} cookies` : "NTS, without keys yet";
  if (authentication === "key") return "symmetric key";
  return mode === "refclock" ? "-" : "nobody";
}

function remarkOf({ lastError, problems, state, selection, lastKiss, kisses }: SourceReport): string {
  const reason = state === "*" || state === "+" ? "" : (REASONS[selection] ?? "");
  const kissed = kisses > 0 ? `kiss ${lastKiss}, ${kisses} in all` : "";
  return [lastError ?? "", ...problems, lastError === null && problems.length === 0 ? reason : "", kissed].filter(Boolean).join("; ");
}
