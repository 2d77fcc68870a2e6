// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server for a network of one's own: it follows several others, and serves what they agree on, one stratum below.
 *
 *     node examples/multi-peer.mjs PORT SOURCE...        four sources or more find out one that lies; port 0: any free one
 *
 * The system clock stays as it is: what is served is a clock of this process, told to the server's threads. Until the sources
 * agree, and after they have been silent for too long, it says that it is not synchronised. Ends on Ctrl-C.
 */

import process from "node:process";
import { serve, startClock } from "escapement";

const [port, ...sources] = process.argv.slice(2);
if (sources.length === 0) {
  console.error("usage: node examples/multi-peer.mjs PORT SOURCE...");
  process.exit(2);
}

// Serving: with NTPv5, whoever follows us is not followed.
const clock = await startClock({ sources, serving: true, timeout: 0 });
const server = await serve({ port: Number(port), clock });
for (const { address, port } of server.addresses) console.log(`answering on ${address} port ${port}`);

clock.addEventListener("change", ({ detail: { event, synchronised, stratum, refid, leap, rootDelay, rootDispersion, sources } }) => {
  if (event === "synchronised") {
    const survivors = sources.filter(({ selection }) => selection === "survivor").map(({ source }) => source);
    console.log(`stratum ${stratum} by ${refid}; of ${sources.length} sources these agree: ${survivors.join(", ")}`);
  }
  if (event === "unsynchronised") console.log("not synchronised");
  const told = { stratum, refid, leap, rootDelay, rootDispersion, referenceNs: clock.nowNs(), referenceIds: clock.referenceIds() };
  server.update(synchronised && rootDispersion < 16 ? told : {});
});

await new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
});
clock.close();
await server.close();
