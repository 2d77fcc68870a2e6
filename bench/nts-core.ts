// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an NTS request costs the server's core, without sockets: opened, verified, answered, stamped and sealed in place, in
 * batches as they come under load; plain NTP beside it, and forged cookies and tags, which must not be dearer.
 */

import { Core } from "../hosts/common/core/core.ts";
import { KEY_LENGTHS, ntsRequest, type Session } from "../tests/support/nts.ts";
import { compare, printResults, type Contender } from "./measure.ts";

const RECEIVED = 0xeead4791a7602ed4n;
const octets = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 73 + seed * 31) & 0xff);

const core = new Core();
const { exports } = core;
const [slots, table, server, scratch] = ["SLOTS", "SLOT_TABLE", "SERVER", "SCRATCH"].map((name) => core.constant(name)) as [number, number, number, number];
const [stride, size] = [core.constant("SLOT_STRIDE_OCTETS"), core.constant("SLOT_SIZE")];

core.view.setUint8(server + core.constant("SERVER_STRATUM"), 2);
core.bytes.set(octets(32, 1), scratch);
exports.cookieKeySet(0, 1, scratch);
exports.cookieKeyCurrent(0);
core.bytes.set(octets(32, 2), scratch);
exports.ntsSeed(scratch);

function sessionOf(aead: number, seed: number): Session {
  return { aead, c2s: octets(KEY_LENGTHS[aead]!, seed), s2c: octets(KEY_LENGTHS[aead]!, seed + 1) };
}

function cookieOf({ aead, c2s, s2c }: Session, seed: number): Uint8Array {
  core.bytes.set(c2s, scratch);
  core.bytes.set(s2c, scratch + 64);
  core.bytes.set(octets(16, seed), scratch + 128);
  return core.bytes.slice(scratch + 256, scratch + 256 + exports.cookieSeal(aead, scratch, scratch + 64, scratch + 256, scratch + 128));
}

/** `batch` requests over and over; the octets that the answers wrote over are put back, as a receive would. */
function answering(name: string, batch: number, make: (index: number) => Uint8Array): Contender {
  const requests = Array.from({ length: batch }, (_, index) => make(index));
  return {
    name,
    units: batch,
    run(times) {
      let answers = 0;
      for (let k = 0; k < times; k++) {
        for (let i = 0; i < batch; i++) {
          core.bytes.set(requests[i]!, slots + i * stride);
          core.setU32(table + i * size + core.constant("SLOT_LENGTH"), requests[i]!.length);
        }
        answers += exports.answerBatch(batch, RECEIVED, server);
      }
      if (answers !== times * batch) throw new Error(`${name}: some requests were not answered`);
      return answers;
    },
  };
}

const genuine = (aead: number, placeholders: number) => (index: number) => {
  const session = sessionOf(aead, index);
  return ntsRequest(session, { cookie: cookieOf(session, index), placeholders });
};

/** One bit of the octet at `from` behind the start (or before the end) is wrong. */
const spoilt = (at: number) => (index: number) => {
  const request = genuine(15, 0)(index);
  request[at < 0 ? request.length + at : at]! ^= 1;
  return request;
};

for (const batch of [16, 64, 1]) {
  printResults(`NTS in the core, batches of ${batch}, the copy into the slot included`, "ns per request", compare([
    answering("plain NTP", batch, () => ntsRequest(sessionOf(15, 0), { cookie: octets(100, 0) }).slice(0, 48)),
    answering("AEAD 15, no placeholder, 228 octets", batch, genuine(15, 0)),
    answering("AEAD 15, seven placeholders, 956 octets", batch, genuine(15, 7)),
    answering("AEAD 17, no placeholder", batch, genuine(17, 0)),
    answering("AEAD 30, no placeholder", batch, genuine(30, 0)),
    answering("AEAD 30, seven placeholders", batch, genuine(30, 7)),
    answering("forged cookie: NTSN", batch, spoilt(48 + 36 + 60)),
    answering("forged tag: NTSN", batch, spoilt(-1)),
  ]));
}
