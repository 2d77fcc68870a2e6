// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that follows a receiver alone: its sentences say which second it is, its pulses when it begins.
 *
 *     node examples/gps-pps.mjs [LINE [PULSES [OFFSET]]]        default /dev/ttyS0, /dev/pps0 and 0.2 s
 *
 * PULSES is a PPS device, or the path of a socket to be made, for a program that feeds pulses as chrony's SOCK driver takes
 * them. OFFSET must be right within 0.4 s. Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { watch } from "escapement";

const [line = "/dev/ttyS0", pulses = "/dev/pps0", offset = "0.2"] = process.argv.slice(2);
const device = pulses.startsWith("/dev/");
const missing = [line, ...(device ? [pulses] : [])].filter((path) => !existsSync(path));
if (missing.length > 0) {
  console.log(`There is no ${missing.join(" and no ")}: connect a receiver and name its devices.`);
  process.exit(0);
}

const sources = [
  `refclock:gps:${line}?offset=${offset}&noselect&name=sentences&poll=1`,
  `refclock:${device ? "pps" : "sock"}:${pulses}?lock=sentences&refid=PPS&poll=1`,
];
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { synchronised, stratum, refid, uncertainty, sources: states } of watch({ sources, signal })) {
  const told = `stratum ${stratum} by ${refid}, ± ${uncertainty.toExponential(2)} s`;
  console.log(synchronised ? told : `not synchronised: ${states.map(({ lastError }) => lastError ?? "waiting").join("; ")}`);
}
