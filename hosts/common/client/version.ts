// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which versions of NTP are asked with, and the drafts of NTPv5 that are spoken. docs/ntpv5.md says what the choice means.
 *
 * @module
 */

import { draftName } from "../core/cold.ts";

/** Of one request. 5 is a draft: it may change. */
export type NtpVersion = 3 | 4 | 5;
/** Of a source that is followed. "auto": version 5 where the server speaks it, else 4. */
export type SourceVersion = NtpVersion | "auto";

/** The names of the drafts, the newest first. */
export function drafts(): string[] {
  const names: string[] = [];
  for (let name = draftName(0); name !== ""; name = draftName(names.length)) names.push(name);
  return names;
}
