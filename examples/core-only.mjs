// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core by itself, without sockets and clocks: a whole exchange in memory, with times of our own making.
 *
 *     node examples/core-only.mjs
 *
 * A client and a server are two instances of one compiled module. The server's clock is 0.25 s ahead and the path takes
 * 10 ms each way, so the offset that comes out must be 0.25 s and the delay 20 ms. The simulator works like this.
 */

import { Core, coreModule, explainPacket } from "escapement/core";

console.log(`imports of the core: ${WebAssembly.Module.imports(coreModule()).length}`);

const client = new Core();
const server = new Core();

const MS = 1_000_000n;
const start = 1_900_000_000_000_000_000n; // 2030-03-17T17:46:40Z, ns since 1970
const ahead = 250n * MS;
const timestamp = (ns) => client.exports.timestampFromUnixNs(ns);

// The server says of itself: stratum 1, GPS, precise to 2^-20 s.
const state = server.fields("SERVER", ["LEAP", "STRATUM", "PRECISION", "REFID", "REFERENCE_TIME"]);
server.view.setUint8(state.STRATUM, 1);
server.view.setInt8(state.PRECISION, -20);
server.setU32(state.REFID, 0x47505300); // "GPS"
server.setI64(state.REFERENCE_TIME, timestamp(start));

// The client writes its request. `ORIGIN` is random in life: it proves that the answer is to this request.
const exchange = client.fields("EXCHANGE", ["VERSION", "MODE", "ORIGIN", "T1", "T4"]);
const packet = client.constant("SLOTS");
client.view.setUint8(exchange.VERSION, 4);
client.view.setUint8(exchange.MODE, 3);
client.setU64(exchange.ORIGIN, 0x0123456789abcdefn);
client.setI64(exchange.T1, timestamp(start));
const length = client.exports.requestWrite(packet, client.constant("EXCHANGE"));

// 10 ms on its way; answered in the place where it lies; 1 ms later sent back.
const slot = server.constant("SLOTS");
server.bytes.set(client.bytes.subarray(packet, packet + length), slot);
const answered = server.exports.respond(slot, length, timestamp(start + 10n * MS + ahead), server.constant("SERVER"));
server.exports.stampTransmit(slot, timestamp(start + 11n * MS + ahead));
const reply = server.bytes.slice(slot, slot + answered);
console.log(explainPacket(reply));

// 10 ms back; the client judges it.
client.bytes.set(reply, packet);
client.setI64(exchange.T4, timestamp(start + 21n * MS));
const verdict = client.exports.replyRead(packet, reply.length, client.constant("EXCHANGE"), client.constant("SAMPLE"));
const sample = client.fields("SAMPLE", ["OFFSET", "DELAY", "PROBLEMS"]);
const seconds = (at) => `${client.exports.intervalToSeconds(client.i64(at)).toFixed(6)} s`;
console.log(`verdict ${verdict}, problems ${client.u32(sample.PROBLEMS)}`);
console.log(`offset ${seconds(sample.OFFSET)}, delay ${seconds(sample.DELAY)}`);
