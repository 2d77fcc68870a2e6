// SPDX-License-Identifier: MIT OR Apache-2.0
/** The option `--hardware-timestamps IF` of commands that ask or answer. Tested in command.test.ts. @module */

import type { StampingCards } from "#host";
import { warn } from "./output.ts";

interface Options {
  readonly hardwareTimestamps?: StampingCards;
  readonly onSoftwareTimestamps?: (reason: string) => void;
}

/** What was given, "*" being all cards that can. */
export function cardOptions(names: readonly string[] | undefined): Options {
  if (names === undefined) return {};
  const tell = (reason: string) => warn(`the kernel stamps, not the network card: ${reason}`);
  return { hardwareTimestamps: names.includes("*") || names, onSoftwareTimestamps: tell };
}
