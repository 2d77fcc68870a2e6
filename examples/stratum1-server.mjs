// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A stratum-1 server: a virtual clock that follows a receiver, and tells others the time while it knows it.
 *
 *     node examples/stratum1-server.mjs [LINE [OFFSET [PORT]]]        default /dev/ttyS0, 0.2 s and 12300; port 0 for any
 *     node examples/request.mjs 127.0.0.1:12300                       in another terminal
 *
 * The system clock stays as it is. Ends on Ctrl-C. For a service of your own see docs/daemon.md.
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { serve, startClock } from "escapement";

const [line = "/dev/ttyS0", offset = "0.2", port = "12300"] = process.argv.slice(2);
if (!existsSync(line)) {
  console.log(`There is no ${line}: connect a receiver and name its line.`);
  process.exit(0);
}

const clock = await startClock({ sources: [`refclock:gps:${line}?offset=${offset}&poll=1`], timeout: 0 });
const server = await serve({ port: Number(port), clock: () => clock.nowNs() });
for (const { address, port: bound } of server.addresses) console.log(`answering on ${address} port ${bound}`);

// Without a receiver that is right we have no stratum, and say so.
clock.addEventListener("change", ({ detail: { event, synchronised, stratum, refid, leap, rootDelay, rootDispersion } }) => {
  if (event === "synchronised" || event === "unsynchronised") console.log(synchronised ? `stratum ${stratum} by ${refid}` : "not synchronised");
  server.update(synchronised && rootDispersion < 16 ? { stratum, refid, leap, rootDelay, rootDispersion, referenceNs: clock.nowNs() } : {});
});

await new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
});
clock.close();
await server.close();
