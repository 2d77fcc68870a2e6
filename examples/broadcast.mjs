// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time for a whole network: one server tells it unasked, and any number of clients only listen.
 *
 *     node examples/broadcast.mjs send 192.0.2.255 [PORT [INTERVAL]]        on the server; port 123, every 64 s
 *     node examples/broadcast.mjs listen 192.0.2.1 [PORT]                   on its clients, which name the server
 *
 * A client asks half a dozen times at first, to learn how long packets take. Nobody vouches for broadcasts: only on networks
 * where nobody can send in the server's name. Sending needs Linux with FFI. Ends after 60 s; SECONDS=600 in the environment
 * for longer.
 */

import process from "node:process";
import { serve, watch } from "escapement";

const [role, address, port = "123", interval = "64"] = process.argv.slice(2);
if (!address || (role !== "send" && role !== "listen")) {
  console.error("usage: node examples/broadcast.mjs send|listen ADDRESS [PORT [INTERVAL]]");
  process.exit(2);
}

const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
if (role === "send") {
  const server = await serve({ port: 0, stratum: 10, broadcast: [{ address, port: Number(port), interval: Number(interval) }] });
  console.log(`from port ${server.addresses[0].port} to ${address} port ${port}, every ${interval} s`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await server.close();
} else {
  const sources = [{ source: address, mode: "broadcast", listen: { port: Number(port) } }];
  for await (const { synchronised, uncertainty, sources: [{ sent, used }] } of watch({ sources, signal })) {
    console.log(`${synchronised ? `± ${uncertainty.toFixed(6)} s` : "not synchronised yet"}: asked ${sent} times, ${used} samples`);
  }
}
