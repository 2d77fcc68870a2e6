// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that follows a pulse a second, with servers that say which second it is.
 *
 *     node examples/pps.mjs [DEVICE [SOURCE...]]        default /dev/pps0 and four public servers
 *
 * Reading pulses needs FFI (koffi on Node) on 64-bit Linux. Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { DEFAULT_SOURCES, watch } from "escapement";

const [device = "/dev/pps0", ...servers] = process.argv.slice(2);
if (!existsSync(device)) {
  console.log(`There is no ${device}: load the driver (pps-ldisc, pps-gpio) and name its device.`);
  process.exit(0);
}

// Where the pulses are right only they steer; the servers number them, and stand by.
const sources = [...(servers.length > 0 ? servers : DEFAULT_SOURCES), `refclock:pps:${device}?prefer`];
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { synchronised, stratum, refid, uncertainty, sources: states } of watch({ sources, signal })) {
  const pulses = states.at(-1);
  const told = `stratum ${stratum} by ${refid}, ± ${uncertainty.toExponential(2)} s`;
  console.log(`${synchronised ? told : "not synchronised yet"}; pulses: ${pulses.lastError ?? pulses.selection}`);
}
