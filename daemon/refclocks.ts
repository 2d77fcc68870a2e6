// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * [[refclock]] of the configuration: its keys, and the reference clock's text (hosts/common/refclock/open.ts) that they make.
 * What each key may be, that text's parser knows. Tested in config.test.ts.
 *
 * @module
 */

import { parseRefClock, REFCLOCK_KINDS, type RefClockKind } from "../hosts/common/refclock/open.ts";
import type { Fault, Rule } from "./schema.ts";

/** A section as smol-toml gives it, once its keys are known to be right one by one. */
export type RawRefClock = { readonly kind: RefClockKind; readonly device?: string } & Readonly<Record<string, string | number | boolean>>;

const SECONDS: Rule = { kind: "number", min: 0, max: 10, unit: "s" };
const WORD: Rule = { kind: "text", wrong: (text) => (/^[\x21-\x7e]{1,64}$/.test(text) ? undefined : "expected a word of 1 to 64 ASCII characters") };

export const REFCLOCK_RULE: Rule = {
  kind: "tables",
  required: ["kind"],
  keys: {
    kind: { kind: "choice", of: REFCLOCK_KINDS },
    device: { kind: "text", wrong: () => undefined },
    baud: { kind: "number", min: 50, max: 10_000_000, integer: true, unit: "bit/s" },
    sentence: { kind: "choice", of: ["RMC", "GGA", "GLL", "ZDA"] },
    edge: { kind: "choice", of: ["assert", "clear"] },
    both: { kind: "flag" },
    of: WORD,
    name: WORD,
    refid: { kind: "text", wrong: (text) => (/^[\x21-\x7e]{1,4}$/.test(text) ? undefined : "expected 1 to 4 ASCII characters") },
    offset: { kind: "number", min: -1e9, max: 1e9, unit: "s" },
    delay: SECONDS,
    dispersion: SECONDS,
    precision: { kind: "number", min: 0, max: 1, unit: "s" },
    poll: { kind: "number", min: 0, max: 10, integer: true, unit: "log2 s" },
    stratum: { kind: "number", min: 0, max: 15, integer: true, unit: "stratum" },
    prefer: { kind: "flag" },
    noselect: { kind: "flag" },
    lock: WORD,
    holdover: { kind: "number", min: 1, max: 8192, unit: "s" },
  },
};

/** The text that the engine is given. */
export function refClockText({ kind, device = "", ...options }: RawRefClock): string {
  const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)])).toString();
  return `refclock:${kind}${device === "" ? "" : `:${device}`}${query === "" ? "" : `?${query}`}`;
}

/** What the sections contradict: a key that its kind does not have, a clock to lock to that is not there. */
export function refClockContradictions(clocks: readonly RawRefClock[]): Fault[] {
  const faults: Fault[] = [];
  const names = clocks.map(({ kind, name, refid }) => String(name ?? refid ?? DEFAULT_NAMES[kind] ?? "").toLowerCase());
  clocks.forEach((clock, index) => {
    try {
      parseRefClock(refClockText(clock));
    } catch (error) {
      faults.push({ path: ["refclock", index], about: "key", message: (error as Error).message });
    }
    const { lock } = clock;
    if (lock !== undefined && !names.some((name, other) => other !== index && name === String(lock).toLowerCase())) {
      faults.push({ path: ["refclock", index, "lock"], about: "value", message: `expected the name of another [[refclock]], got "${lock}"; there are ${names.filter((_, other) => other !== index).join(", ") || "none"}` });
    }
  });
  return faults;
}

/** The drivers' refids. */
const DEFAULT_NAMES: Readonly<Partial<Record<RefClockKind, string>>> = { gps: "GPS", gpsd: "GPS", pps: "PPS", sock: "SOCK" };
