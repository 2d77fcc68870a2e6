// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A load on one NTP server on loopback, in a process of its own: closed (so many requests in flight) or open (so many a
 * second, whatever becomes of them), basic or interleaved. Every reply is judged: mode, length, and that its origin timestamp
 * is that of a request in flight.
 *
 * @module
 */

import process from "node:process";
import { load as loadKoffi } from "../../hosts/native/ffi-koffi.ts";
import { bindServerLibc } from "../../hosts/native/server-libc.ts";
import { ntsRequests, type NtsPlan, type NtsRequests } from "./nts-requests.ts";
import { BATCH, Wire, timestampUs } from "./wire.ts";

export interface LoadPlan {
  readonly port: number;
  readonly seconds: number;
  /** Addresses that requests come from. */
  readonly sources: number;
  /** Requests in flight. */
  readonly window?: number;
  /** Or requests a second. */
  readonly rate?: number;
  readonly interleaved?: boolean;
  /** NTS requests, their keys established first. */
  readonly nts?: NtsPlan;
  /** Stop after so many requests. */
  readonly requests?: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
  /** Replies that answered nothing that was asked, or were not what was asked for. */
  readonly wrong: number;
  readonly interleaved: number;
  readonly seconds: number;
  /** From right before sending to the kernel's receive stamp, µs: p50, p99, p99.9. */
  readonly latency: readonly number[];
  /** Kernel's receive stamp of the reply less its transmit timestamp, µs: p1, p50, p99. */
  readonly sendError: readonly number[];
  /** Offset that a client sees, where the truth is 0, µs: p1, p50, p99. */
  readonly offset: readonly number[];
}

/** Samples kept. */
const SAMPLES = 1 << 17;
/** A request without a reply for so long is lost, µs. */
const LOST_US = 200_000;
const MAGIC = 0x5ca9e3e7;

/** Requests in flight by number; a slot is used again after so many. */
const SLOTS = 1 << 20;
/** NTS requests written beforehand: many more than are in flight. */
const NTS_REQUESTS = 1 << 10;
/** One reply of so many is opened. */
const OPENED = 1 << 10;

class Load {
  readonly #wire: Wire;
  readonly #plan: LoadPlan;
  /** When each was sent, 0: not in flight. */
  readonly #sentAt = new Float64Array(SLOTS);
  /** Interleaved: the receive timestamp of the last reply that each source got, and its request's transmit timestamp. */
  readonly #known: Uint32Array;
  readonly #samples = { latency: new Float64Array(SAMPLES), sendError: new Float64Array(SAMPLES), offset: new Float64Array(SAMPLES) };
  #next = 0;
  #kept = 0;
  sent = 0;
  answered = 0;
  wrong = 0;
  interleaved = 0;

  readonly #nts: NtsRequests | undefined;

  constructor(wire: Wire, plan: LoadPlan, nts?: NtsRequests) {
    this.#nts = nts;
    this.#wire = wire;
    this.#plan = plan;
    this.#known = new Uint32Array(plan.interleaved ? plan.sources * 2 : 0);
  }

  send(count: number): void {
    const { sources, interleaved } = this.#plan;
    const now = this.#wire.nowUs();
    for (let i = 0; i < count; i++) {
      const number = this.#nts ? (this.#next + i) % NTS_REQUESTS : (this.#next + i) >>> 0;
      if (this.#nts) this.#wire.put(i, this.#nts.packets[number]!);
      const { view, at } = this.#wire.request(i);
      const source = number % sources;
      this.#wire.setSource(i, source);
      view.setUint32(at + 40, MAGIC);
      view.setUint32(at + 44, number);
      if (interleaved) {
        // RFC 9769: origin is what the server said as receive timestamp; receive is any name of ours for that.
        view.setUint32(at + 24, this.#known[source * 2]!);
        view.setUint32(at + 28, this.#known[source * 2 + 1]!);
        view.setUint32(at + 32, ~MAGIC);
        view.setUint32(at + 36, number);
      }
      this.#sentAt[number & (SLOTS - 1)] = now;
    }
    const went = this.#wire.send(count);
    this.sent += went;
    this.#next += went;
  }

  receive(waitMs: number): number {
    const count = this.#wire.receive(waitMs);
    for (let i = 0; i < count; i++) this.#judge(i);
    return count;
  }

  #judge(index: number): void {
    const { view, at, length } = this.#wire.reply(index);
    const name = view.getUint32(at + 24);
    const isInterleaved = name === ~MAGIC >>> 0;
    const slot = view.getUint32(at + 28) & (SLOTS - 1);
    const sentAt = this.#sentAt[slot]!;
    const due = this.#nts?.packets[slot]?.length ?? 48;
    if (this.#nts && this.answered % OPENED === 0 && !this.#nts.opens(new Uint8Array(view.buffer, view.byteOffset + at, length).slice())) {
      this.wrong += 1;
      return;
    }
    if (length !== due || (view.getUint8(at) & 7) !== 4 || view.getUint8(at + 1) === 0 || (name !== MAGIC && !isInterleaved) || sentAt === 0) {
      this.wrong += 1;
      return;
    }
    this.#sentAt[slot] = 0;
    this.answered += 1;
    if (isInterleaved) this.interleaved += 1;
    if (this.#plan.interleaved) {
      const source = view.getUint32(at + 28) % this.#plan.sources;
      this.#known[source * 2] = view.getUint32(at + 32);
      this.#known[source * 2 + 1] = view.getUint32(at + 36);
    }
    const arrived = this.#wire.arrivedUs(index);
    if (!Number.isNaN(arrived) && !isInterleaved) this.#keep(sentAt, arrived, view, at);
  }

  #keep(sentAt: number, arrived: number, view: DataView, at: number): void {
    const place = this.#kept++ % SAMPLES;
    const t2 = timestampUs(view, at + 32);
    const t3 = timestampUs(view, at + 40);
    this.#samples.latency[place] = arrived - sentAt;
    this.#samples.sendError[place] = arrived - t3;
    this.#samples.offset[place] = (t2 - sentAt + (t3 - arrived)) / 2;
  }

  result(seconds: number): LoadResult {
    const { sent, answered, wrong, interleaved } = this;
    const at = (values: Float64Array, ...points: number[]) => {
      const sorted = values.slice(0, Math.min(this.#kept, SAMPLES)).sort();
      return points.map((point) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * point))] ?? Number.NaN);
    };
    const { latency, sendError, offset } = this.#samples;
    return { sent, answered, wrong, interleaved, seconds, latency: at(latency, 0.5, 0.99, 0.999), sendError: at(sendError, 0.01, 0.5, 0.99), offset: at(offset, 0.01, 0.5, 0.99) };
  }
}

/** Keep `window` requests in flight. */
function closed(load: Load, wire: Wire, { window = 64, seconds, requests = Infinity }: LoadPlan): number {
  const start = wire.nowUs();
  let quietSince = start;
  let lost = 0;
  let now = start;
  while (now - start < seconds * 1e6 && load.sent < requests) {
    const free = Math.min(BATCH, window - (load.sent - load.answered - load.wrong - lost));
    if (free > 0) load.send(free);
    if (load.receive(window === 1 || free <= 0 ? 20 : 0) > 0) quietSince = wire.nowUs();
    now = wire.nowUs();
    if (now - quietSince > LOST_US) {
      lost = load.sent - load.answered - load.wrong;
      quietSince = now;
    }
  }
  return (now - start) / 1e6;
}

/** Send `rate` requests a second, evenly, whatever comes back. */
function open(load: Load, wire: Wire, { rate = 1000, seconds }: LoadPlan): number {
  const start = wire.nowUs();
  let now = start;
  while (now - start < seconds * 1e6) {
    const due = Math.floor(((now - start) / 1e6) * rate) - load.sent;
    if (due > 0) load.send(Math.min(BATCH, due));
    load.receive(0);
    now = wire.nowUs();
  }
  return (now - start) / 1e6;
}

export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const ffi = await loadKoffi();
  const libc = ffi && bindServerLibc(ffi);
  if (!libc) throw new Error("the load needs Linux and koffi");
  const wire = new Wire(libc, plan.port);
  const nts = plan.nts && (await ntsRequests(plan.nts, NTS_REQUESTS, (view, index) => {
    view.setUint32(40, MAGIC);
    view.setUint32(44, index);
  }));
  const load = new Load(wire, plan, nts);
  const seconds = plan.rate === undefined ? closed(load, wire, plan) : open(load, wire, plan);
  for (const end = wire.nowUs() + LOST_US; wire.nowUs() < end && load.answered + load.wrong < load.sent; ) load.receive(20);
  wire.close();
  return load.result(seconds);
}

/** The child's end: the plan as an argument, the result on standard output. */
export async function loadMain(text: string): Promise<void> {
  process.stdout.write(JSON.stringify(await runLoad(JSON.parse(text) as LoadPlan)));
}
