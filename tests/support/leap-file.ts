// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A leap-seconds.list with a hash of its own, of entries that a test wants.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Seconds from 1900 to 1970. */
const UNIX_EPOCH = 2_208_988_800;

export interface LeapFilePlan {
  /** When, seconds since 1970, and TAI − UTC from then on. */
  readonly entries: readonly (readonly [number, number])[];
  /** Seconds since 1970. */
  readonly expires: number;
}

export function leapFileText({ entries, expires }: LeapFilePlan): string {
  const lines = entries.map(([at, offset]) => [String(at + UNIX_EPOCH), String(offset)] as const);
  const [updated, end] = [String(UNIX_EPOCH + 1_700_000_000), String(expires + UNIX_EPOCH)];
  const digest = createHash("sha1").update(updated + end + lines.flat().join("")).digest("hex");
  return [`#$\t${updated}`, `#@\t${end}`, ...lines.map((line) => line.join("\t")), `#h\t${digest.match(/.{8}/g)!.join(" ")}`, ""].join("\n");
}
