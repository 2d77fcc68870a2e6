// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that follows the sentences of a GPS receiver.
 *
 *     node examples/gps.mjs [DEVICE [BAUD [OFFSET]]]        default /dev/ttyUSB0, 9600, and half a second of doubt
 *
 * OFFSET is how late the receiver's sentences come, in seconds. Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { watch } from "escapement";

const [device = "/dev/ttyUSB0", baud = "9600", offset] = process.argv.slice(2);
if (!existsSync(device)) {
  console.log(`There is no ${device}: connect a receiver and name its line.`);
  process.exit(0);
}

const options = new URLSearchParams({ baud, poll: "1", ...(offset ? { offset } : {}) });
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { synchronised, stratum, uncertainty, sources } of watch({ sources: [`refclock:gps:${device}?${options}`], signal })) {
  const [receiver] = sources;
  const told = `stratum ${stratum}, ± ${uncertainty.toFixed(3)} s, the receiver's jitter ${receiver.offsetDeviation.toFixed(6)} s`;
  console.log(synchronised ? told : `not synchronised: ${receiver.lastError ?? "not enough sentences yet"}`);
}
