// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a packet costs in the core: read, judged as a reply, answered; in place, and through the host with its copy; against
 * the best plain JavaScript we could write with a DataView.
 */

import { Core } from "../hosts/common/core/core.ts";
import { ServerCore } from "../hosts/common/server/state.ts";
import { compare, printResults } from "./measure.ts";

const BATCH = 64;
const REQUEST = Uint8Array.from({ length: 48 }, (_, i) => (i === 0 ? 0x23 : i >= 40 ? i * 5 + 1 : 0));
/** Version 5, whose requests name a draft. */
const REQUEST_5 = Uint8Array.from([0x2b, ...new Array<number>(23).fill(0), 1, 2, 3, 4, 5, 6, 7, 8, ...new Array<number>(16).fill(0), 0xf5, 0xff, 0, 27,
  ...Buffer.from("draft-ietf-ntp-ntpv5-09"), 0]);
const RECEIVED = 0xeead4791a7602ed4n;

function headers(core: Core) {
  const [packet, header] = [core.constant("SLOTS"), core.constant("SCRATCH")];
  core.bytes.set(REQUEST, packet);
  return (times: number) => {
    for (let i = 0; i < times; i++) core.exports.readHeader(packet, header);
    return core.u32(header);
  };
}

function replies(core: Core) {
  const [packet, exchange, sample] = [core.constant("SLOTS"), core.constant("EXCHANGE"), core.constant("SAMPLE")] as const;
  const at = core.fields("EXCHANGE", ["VERSION", "MODE", "ORIGIN", "T1", "T4"]);
  core.view.setUint8(at.VERSION, 4);
  core.view.setUint8(at.MODE, 3);
  core.setU64(at.ORIGIN, 1n << 56n);
  core.setU64(at.T1, RECEIVED - 5_000_000n);
  core.setU64(at.T4, RECEIVED + 5_000_000n);
  core.bytes.set([0x24, 2, 6, 0xec, ...new Array(20).fill(0), 1, 0, 0, 0, 0, 0, 0, 0], packet);
  core.view.setBigUint64(packet + 32, RECEIVED);
  core.view.setBigUint64(packet + 40, RECEIVED);
  return (times: number) => {
    let verdicts = 0;
    for (let i = 0; i < times; i++) verdicts += core.exports.replyRead(packet, 48, exchange, sample);
    if (verdicts !== times) throw new Error("the reply was not taken");
    return verdicts;
  };
}

/** Everything that a server can do: 1024 access rules, limits for addresses and prefixes, log, interleaved pairs. */
function withFeatures(core: Core): Core {
  const { exports } = core;
  exports.tableKey(0x0123456789abcdefn, 0x7edcba9876543210n);
  exports.accessBegin();
  for (let i = 0; i < 1024; i++) exports.accessAdd(0n, 0xffff_0000_0000n | BigInt(0x0a00_0000 + i * 256), 120, i & 1);
  exports.accessCommit(0, 0);
  exports.gateLog(1);
  exports.interleaveClients(1);
  // Limits that are looked up and never reached, so that each request is answered.
  exports.limitAddresses(1n, 8192, 1);
  exports.limitPrefixes(1n, 8192);
  return core;
}

/** How many clients take turns: as many as the processor's nearest caches hold, and as many as the table has room for. */
const FEW = 500;
const MANY = 50_000;

/** A batch in place. The request bytes that the reply wrote over are put back, as a receive would. */
function batches(core: Core, request = REQUEST, clients = 0) {
  const [slots, table, server] = [core.constant("SLOTS"), core.constant("SLOT_TABLE"), core.constant("SERVER")] as const;
  const [stride, size] = [core.constant("SLOT_STRIDE_OCTETS"), core.constant("SLOT_SIZE")];
  const lengths = Array.from({ length: BATCH }, (_, i) => table + i * size + core.constant("SLOT_LENGTH"));
  for (let i = 0; i < BATCH; i++) {
    core.bytes.set(request, slots + i * stride);
    core.view.setUint8(table + i * size + core.constant("SLOT_KNOWN"), clients > 0 ? 1 : 0);
    core.setU64(table + i * size + core.constant("SLOT_RECEIVED"), RECEIVED + BigInt(i));
  }
  const low = core.constant("SLOT_LOW") - core.constant("SLOT_LENGTH");
  const receivedHigh = core.constant("SLOT_RECEIVED") - core.constant("SLOT_LENGTH") + 4;
  let turn = 0;
  return (times: number) => {
    let answers = 0;
    for (let k = 0; k < times; k++) {
      for (let i = 0; i < BATCH; i++) {
        core.bytes[slots + i * stride] = request[0]!;
        core.setU32(lengths[i]!, request.length);
        if (clients === 0) continue;
        // Another client each time, each about once a second. An interleaving one's origin is not known, which costs the same.
        turn += 1;
        core.setU32(lengths[i]! + low, 0x2d00_0000 + (turn % clients));
        core.setU32(lengths[i]! + low + 4, 0xffff);
        core.setU32(lengths[i]! + receivedHigh, 0xeead4791 + Math.floor(turn / clients));
        core.setU32(lengths[i]! + receivedHigh - 4, Math.imul(turn, 20_011));
        // What the answer before left there is put back: an origin or none.
        core.setU32(slots + i * stride + 24, request === REQUEST ? 0 : turn | 1);
        core.setU32(slots + i * stride + 28, 0);
      }
      answers += core.exports.answerBatch(BATCH, RECEIVED, server);
    }
    if (answers !== times * BATCH) throw new Error("some requests were not answered");
    return answers;
  };
}

/** The same reply by hand: offsets and a DataView, timestamps as two 32-bit halves. */
function byHand() {
  const view = new DataView(new ArrayBuffer(BATCH * 64));
  return (times: number) => {
    let answers = 0;
    for (let k = 0; k < times; k++) {
      for (let i = 0; i < BATCH; i++) {
        const at = i * 64;
        view.setUint8(at, 0x23);
        answers += answerByHand(view, at, 48);
      }
    }
    return answers;
  };
}

function answerByHand(view: DataView, at: number, length: number): number {
  const flags = view.getUint8(at);
  const version = (flags >> 3) & 7;
  if (length < 48 || (flags & 7) !== 3 || version < 1 || version > 4) return 0;
  view.setUint32(at + 24, view.getUint32(at + 40));
  view.setUint32(at + 28, view.getUint32(at + 44));
  view.setUint8(at, (version << 3) | 4);
  view.setUint8(at + 1, 2);
  view.setInt8(at + 3, -23);
  view.setUint32(at + 4, 0);
  view.setUint32(at + 8, 655);
  view.setUint32(at + 12, 0x7f7f0101);
  view.setUint32(at + 16, 0xeead4791);
  view.setUint32(at + 20, 0);
  view.setUint32(at + 32, 0xeead4791);
  view.setUint32(at + 36, 0xa7602ed4);
  view.setUint32(at + 40, 0xeead4791);
  view.setUint32(at + 44, 0xa8602ed4);
  return 1;
}

function throughHost() {
  const server = new ServerCore(
    { stratum: 2, leap: 0, rootDelay: 0, rootDispersion: 0.01, precision: 1e-7, refid: undefined, kiss: undefined },
    () => 1_795_348_800_000_000_000n,
  );
  return (times: number) => {
    let octets = 0;
    for (let i = 0; i < times; i++) octets += server.answer(REQUEST, 1_795_348_800_000_000_000n)!.length;
    return octets;
  };
}

const core = new Core();
printResults("Reading and judging", "ns per packet", compare([
  { name: "header, in place", run: headers(core) },
  { name: "reply: header, fields, tests, offset … rootDistance", run: replies(new Core()) },
]));
const interleaving = Uint8Array.from(REQUEST, (octet, i) => (i >= 24 && i < 40 ? i * 7 + 1 : octet));
printResults("Answering with what a public server needs", "ns per packet; addresses are put in by the loop, from the second on", compare([
  { name: "nothing on", run: batches(new Core()), units: BATCH },
  { name: "nothing on, addresses put in", run: batches(new Core(), REQUEST, FEW), units: BATCH },
  { name: `1024 rules, log, two limits; ${FEW} clients`, run: batches(withFeatures(new Core()), REQUEST, FEW), units: BATCH },
  { name: `the same, interleaved; ${FEW} clients`, run: batches(withFeatures(new Core()), interleaving, FEW), units: BATCH },
  { name: `1024 rules, log, two limits; ${MANY} clients`, run: batches(withFeatures(new Core()), REQUEST, MANY), units: BATCH },
  { name: `the same, interleaved; ${MANY} clients`, run: batches(withFeatures(new Core()), interleaving, MANY), units: BATCH },
]));
printResults("Answering", "ns per packet", compare([
  { name: `core, in place, batch of ${BATCH}`, run: batches(new Core()), units: BATCH },
  { name: `NTPv5 in the core, in place, batch of ${BATCH}`, run: batches(new Core(), REQUEST_5), units: BATCH },
  { name: "JavaScript by hand, DataView, same work", run: byHand(), units: BATCH },
  { name: "serve()'s path: copy in, answer, BigInt stamps", run: throughHost() },
]));
