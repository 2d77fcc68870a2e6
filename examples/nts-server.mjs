// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An NTP server whose answers are authenticated by NTS (RFC 8915), with the certificate of any web server.
 *
 *     node examples/nts-server.mjs CERTIFICATE KEY [NTP-PORT] [KE-PORT]        PEM files; default 12300 and 14460, 0: any free
 *     node examples/nts-client.mjs localhost:14460 CA                          in another terminal
 *
 * The files are watched: a renewed certificate is used from the next client on. Ends with its counters on Ctrl-C.
 */

import process from "node:process";
import { serve } from "escapement";

const [certificate, key, port = "12300", kePort = "14460"] = process.argv.slice(2);
if (!certificate || !key) {
  console.error("expected the files of a certificate chain and of its private key, PEM");
  process.exit(2);
}
const server = await serve({
  port: Number(port),
  stratum: 10,
  // Clients are told the port of the NTP server where it is not 123.
  nts: { certificateFiles: { certificate, key }, port: Number(kePort) },
  onEvent: (event) => console.error(event),
});

const stopped = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
});
for (const { address, port } of server.nts.addresses) console.log(`establishing keys on ${address} port ${port}`);

await stopped;
await server.close();
console.log(`${server.stats.ke.served} clients were given keys, ${server.counters.nts} of ${server.stats.answered} answers were authenticated`);
