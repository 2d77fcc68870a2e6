// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the packets say, field by field: a request and its reply through `explainPacket`.
 *
 *     node examples/packet-details.mjs [ADDRESS] [PORT]      an IP address; port 123 unless told otherwise
 *
 * It sends one packet from a socket that the host lends, without the client: nothing is checked here, only shown.
 */

import process from "node:process";
import { lendHost } from "escapement";
import { explainPacket } from "escapement/core";

const [address = "162.159.200.1", port = "123"] = process.argv.slice(2);

const host = await lendHost();
// Version 4, mode 3 (client), and a random transmit timestamp: all that a request needs to say.
const request = new Uint8Array(48);
request[0] = 0x23;
host.random(request.subarray(40));

let arrived;
const reply = new Promise((resolve) => (arrived = resolve));
const socket = await host.openUdp(
  { family: address.includes(":") ? 6 : 4 },
  { onDatagram: ({ data }) => arrived(data.slice()), onError: (error) => console.error(error.message) },
);
const timer = setTimeout(() => arrived(undefined), 2000);
await socket.send(request, { address, port: Number(port) });
console.log(`request\n${explainPacket(request)}`);

const answer = await reply;
clearTimeout(timer);
socket.close();
if (answer) console.log(`reply\n${explainPacket(answer)}`.trimEnd());
else {
  console.error("no reply within 2 s");
  process.exitCode = 1;
}
