// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where a server's sockets are bound and how its answers are marked; and a client that uses one family of addresses.
 *
 *     node examples/socket-options.mjs [INTERFACE]        default lo
 *
 * An interface and a service code point (46: expedited forwarding, RFC 3246) need Linux with FFI; named addresses do not.
 */

import process from "node:process";
import { NtpError, query, serve } from "escapement";

const [device = "lo"] = process.argv.slice(2);
const plain = { listen: ["127.0.0.1"], port: 0, stratum: 10 };

/** What cannot be had is an error and not done without: here it is, and said. */
async function start(options) {
  try {
    return await serve({ ...plain, ...options });
  } catch (error) {
    if (!(error instanceof NtpError)) throw error;
    console.log(`${error.code}: ${error.message}`);
    return serve(plain);
  }
}

const server = await start({ interface: device, dscp: 46 });
const [{ address, port }] = server.addresses;
console.log(`answering on ${address} port ${port}`);
const { timestamps, delay } = await query(`localhost:${port}`, { family: 4, timeout: 2 });
console.log(`asked over IPv4, stamped by the ${timestamps.t1} and the ${timestamps.t4}: delay ${delay} s`);
await server.close();
