// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An NTP server that vouches for this machine's clock.
 *
 *     node examples/server.mjs [PORT] [STRATUM]        default 12300 and 10; port 0 for any free one
 *     node examples/request.mjs 127.0.0.1:12300        in another terminal
 *
 * A stratum is a promise: 10 says "better than nothing" to whoever follows. Ends with its counters on Ctrl-C.
 */

import process from "node:process";
import { serve } from "escapement";

const [port = "12300", stratum = "10"] = process.argv.slice(2);
const server = await serve({ port: Number(port), stratum: Number(stratum) });

const stopped = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
});
for (const { address, port } of server.addresses) console.log(`answering on ${address} port ${port}`);

await stopped;
await server.close();
const { received, answered, dropped } = server.stats;
console.log(`${received} received, ${answered} answered, ${dropped} dropped`);
