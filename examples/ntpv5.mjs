// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5, a draft: a server that answers it beside older versions, and all that such a server tells beside the time.
 *
 *     node examples/ntpv5.mjs [SOURCE]        without one, a server of our own on loopback is asked
 *
 * An answer of version 5 is exactly as long as its request, and says by a flag whether its server is synchronised.
 */

import process from "node:process";
import { query, serve } from "escapement";

let [source] = process.argv.slice(2);
let server;
if (!source) {
  // With TAI − UTC known, clients that ask for TAI get it; smeared time and UT1 likewise.
  server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 10, taiOffset: 37 });
  source = `127.0.0.1:${server.addresses[0].port}`;
}

try {
  const { version, offset, rootDistance, ntpv5 } = await query(source, { version: 5 });
  console.log(`version ${version}: offset ${offset} s ± ${rootDistance} s`);
  console.log(`the server speaks versions ${ntpv5.versions?.join(", ") ?? "it does not tell"}`);
  for (const [scale, ahead] of Object.entries(ntpv5.scales ?? {})) console.log(`${scale} is ${ahead} s ahead of UTC`);
} catch (error) {
  // A server of older versions alone says nothing: version "auto" of startClock() finds out without waiting.
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
await server?.close();
