// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * As exact as a network allows: a clock that follows servers of one's own network, and what it is worth.
 *
 *     node examples/high-precision.mjs SERVER[,SERVER...] [INTERFACE]        for instance 192.0.2.1,192.0.2.2 eth0
 *
 * What helps, the most important first: a short path that is as long there as back; stamps taken by the network card, or at
 * least by the kernel, at both ends; interleaved mode, in which the server tells when its answer really left; an answer each
 * second, so that the oscillator has no time to wander. Ask servers of others no more often than every 64 s.
 *
 * Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import process from "node:process";
import { lendHost, query, watch } from "escapement";

const [servers, card] = process.argv.slice(2);
if (!servers) {
  console.log("Name servers of your own network: node examples/high-precision.mjs SERVER[,SERVER...] [INTERFACE]");
  process.exit(0);
}

const { clock } = await lendHost();
console.log(`this host reads its clock to ${clock.precision.toExponential(1)} s by ${clock.description}`);

const stamping = card ? { hardwareTimestamps: card, onSoftwareTimestamps: (reason) => console.log(`the kernel stamps: ${reason}`) } : {};
for (const server of servers.split(",")) {
  const { timestamps, delay } = await query(server, stamping);
  console.log(`${server}: requests are stamped by the ${timestamps.t1}, answers by the ${timestamps.t4}, delay ${delay.toFixed(9)} s`);
}

const sources = servers.split(",").map((source) => ({ source, interleaved: true, minPoll: 0, maxPoll: 0 }));
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { event, synchronised, offset, uncertainty, skewPpm, sources: states } of watch({ sources, ...stamping, minPoll: 0, signal })) {
  if (event !== "updated" || !synchronised) continue;
  const told = states.map(({ used, interleaved, offsetDeviation, delay }) => `${used} samples, ${interleaved} interleaved, sd ${offsetDeviation.toExponential(1)} s, delay ${delay.toExponential(2)} s`);
  console.log(`offset ${offset.toExponential(1)} s, within ${uncertainty.toExponential(1)} s, frequency to ${skewPpm.toFixed(3)} ppm; ${told.join("; ")}`);
}
