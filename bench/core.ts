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

/** A batch in place. The request bytes that the reply wrote over are put back, as a receive would. */
function batches(core: Core) {
  const [slots, table, server] = [core.constant("SLOTS"), core.constant("SLOT_TABLE"), core.constant("SERVER")] as const;
  const [stride, size] = [core.constant("SLOT_STRIDE_OCTETS"), core.constant("SLOT_SIZE")];
  const lengths = Array.from({ length: BATCH }, (_, i) => table + i * size + core.constant("SLOT_LENGTH"));
  for (let i = 0; i < BATCH; i++) {
    core.bytes.set(REQUEST, slots + i * stride);
    core.setU64(table + i * size + core.constant("SLOT_RECEIVED"), RECEIVED + BigInt(i));
  }
  return (times: number) => {
    let answers = 0;
    for (let k = 0; k < times; k++) {
      for (let i = 0; i < BATCH; i++) {
        core.bytes[slots + i * stride] = 0x23;
        core.setU32(lengths[i]!, 48);
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
printResults("Answering", "ns per packet", compare([
  { name: `core, in place, batch of ${BATCH}`, run: batches(new Core()), units: BATCH },
  { name: "JavaScript by hand, DataView, same work", run: byHand(), units: BATCH },
  { name: "serve()'s path: copy in, answer, BigInt stamps", run: throughHost() },
]));
