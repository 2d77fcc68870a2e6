// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The drift file: the clock's frequency correction, remembered so that a restart need not measure it for an hour.
 *
 *   frequencyPpm skewPpm          one line, decimal; for instance "-12.345678 0.004321"
 *
 * It is replaced as a whole: a crash leaves the old one. A file that is absent or makes no sense is as good as none. Tested in
 * drift.test.ts.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { HostFiles } from "../hosts/common/files.ts";
import { files } from "../hosts/node/files.ts";

/** A frequency correction and its standard deviation, relative. */
export interface Drift {
  readonly frequency: number;
  readonly skew: number;
}

/** What reading made of the file; `trouble` is for the log. */
export interface DriftRead {
  readonly drift?: Drift;
  readonly trouble?: string;
}

const PPM = 1e-6;
/** The actuator goes no further than ±500 ppm; what says more is not a drift. */
const MOST_PPM = 500;
/** More than anything we write: the rest is not a drift file, and need not be read to see that. */
const MOST_OCTETS = 256;
const NUMBER = "[+-]?\\d{1,6}(?:\\.\\d{1,20})?(?:e[+-]?\\d{1,3})?";
const LINE = new RegExp(`^\\s*(${NUMBER})\\s+(${NUMBER})\\s*$`, "i");
/** Readable by all, as others may want to know. */
const MODE = 0o644;

/** Read it. Never throws. */
export async function readDrift(file: string): Promise<DriftRead> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { trouble: absent ? `drift file ${file} is not there yet; the frequency will be measured anew` : `drift file ${file} could not be read: ${(error as Error).message}; the frequency will be measured anew` };
  }
  const drift = parseDrift(text);
  return drift ? { drift } : { trouble: `drift file ${file}: expected "frequencyPpm skewPpm" of at most ±${MOST_PPM} ppm, got something else; it will be replaced` };
}

/** The line, or undefined when it makes no sense. */
export function parseDrift(text: string): Drift | undefined {
  const match = text.length <= MOST_OCTETS ? LINE.exec(text) : null;
  const [frequencyPpm, skewPpm] = [Number(match?.[1] ?? NaN), Number(match?.[2] ?? NaN)];
  if (!(Math.abs(frequencyPpm) <= MOST_PPM && skewPpm >= 0 && skewPpm <= MOST_PPM)) return undefined;
  return { frequency: frequencyPpm * PPM, skew: skewPpm * PPM };
}

/** Its one line. */
export function formatDrift({ frequency, skew }: Drift): string {
  return `${(frequency / PPM).toFixed(6)} ${(skew / PPM).toFixed(6)}\n`;
}

/** Replace it. Rejects with the runtime's error, and leaves the old file then. */
export function writeDrift(file: string, drift: Drift, { replace }: Pick<HostFiles, "replace"> = files): Promise<void> {
  return replace(file, new TextEncoder().encode(formatDrift(drift)), MODE);
}
