// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The fast path: one thread, its sockets, and the core; three calls a batch, and nothing copied.
 *
 *     recvmmsg ─▶ clock_gettime ─▶ core: mmsgTake ─▶ clock_gettime ─▶ core: mmsgStamp ─▶ sendmmsg ─▶ clock_gettime ─▶ mmsgSent
 *                 (what time is it)  (answer in place)                  (stamp as late as can be)       (learn the cost)
 *
 * Where network cards stamp, their clocks are read in between (server-cards.ts), and their transmit stamps, which drivers fetch
 * in their own time, are looked for once more before the next batch is answered.
 *
 * Where answers have MACs or are sealed, which mmsgStamp does, there is one more clock_gettime before sendmmsg.
 *
 * The thread blocks in recvmmsg, at most 100 ms, and looks at a shared word after each batch: only when that says that there is
 * a message does it go back to the event loop. With several sockets it waits in poll instead. A message that cannot be sent (an
 * address without a route, a firewall) is left out, and the rest of the batch goes.
 *
 * Tested in tests/server/native.test.ts; measured by bench/server.
 *
 * @module
 */

import type { Core } from "../common/core/core.ts";
import { addressText } from "../common/server/address.ts";
import { COUNTERS } from "../common/server/clients.ts";
import { REASONS } from "../common/server/threads.ts";
import type { ServerCore } from "../common/server/state.ts";
import type { LoopTask } from "../common/server/thread.ts";
import { Block } from "./memory.ts";
import { SystemError } from "./errno.ts";
import { CLOCK_REALTIME, EAGAIN, EINTR, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_WAITFORONE, POLLIN } from "./linux.ts";
import type { CardLines } from "./server-cards.ts";
import type { ServerLibc } from "./server-libc.ts";

/** Batches of one socket before the others have their turn. */
const TURN = 16;
const MMSG_BYTES = 64;
/** Octets of a pollfd: i32 descriptor, i16 events, i16 what happened. */
const POLLFD_BYTES = 8;
const POLL_MS = 100;
/** A queue that stands longer than this is shed, s. */
const SHED_AFTER = 0.002;
/** Control messages (mode 6) handed on a second, at most: whoever answers them has other work. */
const CONTROLS_PER_SECOND = 250;
/** When the server stops, at most so many batches are still answered: more than a receive buffer holds. */
const DRAIN_BATCHES = 512;

/** The names of a thread's counters, in the order of {@link BatchLoop.count}. */
export const BATCH_COUNTERS = ["received", "answered", "dropped", "failed", "shed"] as const;
const OWN = BATCH_COUNTERS.length;

const SLOT_FIELDS = ["CONTROL", "HIGH", "LOW", "PORT"] as const;

export class BatchLoop {
  readonly names: readonly string[];
  /** Where the core keeps its own counters, by reason. */
  readonly #reasons: readonly number[];
  readonly #libc: ServerLibc;
  readonly #core: Core;
  readonly #server: ServerCore;
  readonly #descriptors: readonly number[];
  readonly #counters: Float64Array;
  /** What a predecessor of this thread had counted. */
  readonly #before: readonly number[];
  readonly #polled: Block;
  readonly #serverAt: number;
  readonly #receive: number;
  readonly #send: number;
  readonly #time: number;
  readonly #looped: number;
  readonly #loopedLimit: number;
  /** Messages a batch. More give no more throughput, and a less exact transmit stamp. */
  readonly #ask: number;
  readonly #at: { seconds: number; asked: number; controls: number; received: number; answered: number; dropped: number; shed: number };
  readonly #slot: Record<(typeof SLOT_FIELDS)[number], number>;
  readonly #control: LoopTask["control"];
  readonly #cards: CardLines | undefined;
  /** Sockets whose last batch asked for transmit stamps, of which a card's may come late. */
  readonly #late = new Set<number>();
  #failed = 0;
  #second = 0;
  #controls = 0;

  constructor(libc: ServerLibc, server: ServerCore, { descriptors, counters, control }: Omit<LoopTask, "cards" | "software">, cards?: CardLines) {
    const { core } = server;
    const base = libc.ffi.address(core.bytes);
    const mmsg = core.fields("MMSG", ["ASKED", "CONTROLS", "RECEIVED", "ANSWERED", "DROPPED", "SHED", "SHED_AFTER"]);
    this.#libc = libc;
    this.#cards = cards;
    this.#core = core;
    this.#server = server;
    this.#descriptors = descriptors;
    this.#counters = counters;
    this.names = [...BATCH_COUNTERS, ...Object.keys(COUNTERS).map((name) => `${REASONS}${name}`)];
    this.#reasons = Object.values(COUNTERS).map((field) => core.constant("COUNTERS") + core.constant(`COUNTERS_${field}`));
    this.#before = this.names.map((_, index) => counters[index]!);
    this.#slot = core.fields("SLOT_TABLE", SLOT_FIELDS, "SLOT");
    this.#control = control;
    this.#serverAt = core.constant("SERVER");
    this.#receive = base + core.constant("MMSG_RECEIVE");
    this.#send = base + core.constant("MMSG_SEND");
    this.#time = base + core.constant("MMSG_TIME");
    this.#looped = base + core.constant("MMSG_LOOPED");
    this.#ask = core.constant("MMSG_ASK");
    this.#loopedLimit = core.constant("MMSG_LOOPED_LIMIT");
    this.#at = { seconds: core.constant("MMSG_TIME"), asked: mmsg.ASKED, controls: mmsg.CONTROLS, received: mmsg.RECEIVED, answered: mmsg.ANSWERED, dropped: mmsg.DROPPED, shed: mmsg.SHED };
    core.exports.mmsgInit(BigInt(base));
    core.setI64(mmsg.SHED_AFTER, core.exports.intervalFromSeconds(SHED_AFTER));
    this.#polled = new Block(libc.ffi, POLLFD_BYTES * descriptors.length);
    descriptors.forEach((fd, index) => {
      this.#polled.view.setInt32(index * POLLFD_BYTES, fd, true);
      this.#polled.view.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
    });
  }

  /** Serve until `attention` no longer holds `seen`. Throws a SystemError when a socket is broken. */
  run(attention: Int32Array, seen: number): void {
    const [only] = this.#descriptors;
    while (Atomics.load(attention, 0) === seen) {
      if (this.#descriptors.length === 1) {
        if (this.#batch(only!, MSG_WAITFORONE) === 0) this.#idle();
      } else this.#wait();
    }
  }

  /** Answer what has come already, and return. Nothing is shed. */
  drain(): void {
    this.#core.setI64(this.#core.fields("MMSG", ["SHED_AFTER"]).SHED_AFTER, 0n);
    for (const fd of this.#descriptors) {
      for (let left = DRAIN_BATCHES; left > 0 && this.#batch(fd, MSG_DONTWAIT) > 0; ) left -= 1;
      this.#readLooped(fd);
    }
  }

  /** Wait for any of several sockets. */
  #wait(): void {
    const { view, address } = this.#polled;
    const ready = this.#libc.poll(address, this.#descriptors.length, POLL_MS);
    if (ready <= 0) return this.#idle();
    this.#descriptors.forEach((fd, index) => {
      const happened = view.getInt16(index * POLLFD_BYTES + 6, true);
      if ((happened & POLLIN) === 0) {
        // Only the error queue: late stamps. They would wake us for ever.
        if (happened !== 0) this.#readLooped(fd);
        return;
      }
      // Where several came at once more are on their way: to look there again costs less than to wait for all sockets.
      for (let turn = 0; turn < TURN && this.#batch(fd, MSG_DONTWAIT) > 1; ) turn += 1;
    });
  }

  /** Receive, answer and send one batch; how many were received. */
  #batch(fd: number, flags: number): number {
    const libc = this.#libc;
    const { exports, view } = this.#core;
    const count = libc.recvmmsg(fd, this.#receive, this.#ask, flags, 0);
    if (count <= 0) return this.#nothing(count);
    if (this.#cards) {
      this.#cards.renew();
      if (this.#late.delete(fd)) this.#readLooped(fd);
    }
    libc.clock_gettime(CLOCK_REALTIME, this.#time);
    // Whole seconds pass seldom.
    const second = view.getUint32(this.#at.seconds, true);
    if (second !== this.#second) this.#tick(second);
    const due = exports.mmsgTake(count, this.#serverAt);
    libc.clock_gettime(CLOCK_REALTIME, this.#time);
    if (exports.mmsgStamp(this.#serverAt) > 0) {
      libc.clock_gettime(CLOCK_REALTIME, this.#time);
      exports.mmsgProved();
    }
    const sent = due === 0 ? 0 : this.#sendAll(fd, due);
    if (view.getInt32(this.#at.controls, true) > 0) this.#handOn(fd, count);
    libc.clock_gettime(CLOCK_REALTIME, this.#time);
    exports.mmsgSent(sent);
    if (view.getInt32(this.#at.asked, true) > 0) {
      if (this.#cards) this.#late.add(fd);
      this.#readLooped(fd);
    }
    this.count();
    return count;
  }

  #nothing(result: number): number {
    const errno = result < 0 ? this.#libc.errno() : EAGAIN;
    if (errno !== EAGAIN && errno !== EINTR) throw new SystemError("recvmmsg", errno);
    return 0;
  }

  /** sendmmsg stops at a message that cannot be sent: leave that one out and go on. How many were sent. */
  #sendAll(fd: number, due: number): number {
    let sent = 0;
    for (let at = 0; at < due; ) {
      const took = this.#libc.sendmmsg(fd, this.#send + at * MMSG_BYTES, due - at, MSG_NOSIGNAL);
      if (took > 0) {
        at += took;
        sent += took;
      } else if (took === 0 || this.#libc.errno() !== EINTR) {
        at += 1;
        this.#failed += 1;
      }
    }
    return sent;
  }

  /** Empty the error queue: transmit stamps for interleaved answers; left there they would fill the receive buffer. */
  #readLooped(fd: number): void {
    for (let count = this.#loopedLimit; count === this.#loopedLimit; ) {
      count = this.#libc.recvmmsg(fd, this.#looped, this.#loopedLimit, MSG_ERRQUEUE | MSG_DONTWAIT, 0);
      if (count <= 0) return;
      this.#cards?.renew();
      this.#core.exports.mmsgStamps(count, this.#serverAt);
    }
  }

  /** Control messages lie unchanged in their slots, until the next batch. */
  #handOn(fd: number, count: number): void {
    const core = this.#core;
    const { view, bytes } = core;
    const packets = core.constant("SLOTS");
    const [entry, stride] = [core.constant("SLOT_SIZE"), core.constant("SLOT_STRIDE_OCTETS")];
    for (let i = 0; i < count; i++) {
      const at = i * entry;
      const length = view.getInt32(this.#slot.CONTROL + at, true);
      if (length === 0 || this.#controls++ >= CONTROLS_PER_SECOND) continue;
      const address = addressText({ high: core.u64(this.#slot.HIGH + at), low: core.u64(this.#slot.LOW + at) });
      const from = { address, port: view.getUint32(this.#slot.PORT + at, true) };
      this.#control(bytes.slice(packets + i * stride, packets + i * stride + length), from, this.#descriptors.indexOf(fd));
    }
  }

  #idle(): void {
    for (const fd of this.#descriptors) this.#readLooped(fd);
  }

  #tick(second: number): void {
    this.#second = second;
    this.#controls = 0;
    this.#cards?.tick();
    this.#server.renew(this.#server.served(BigInt(second) * 1_000_000_000n));
  }

  /** Publish the counters. */
  count(): void {
    const { view } = this.#core;
    const { received, answered, dropped, shed } = this.#at;
    const counters = this.#counters;
    const before = this.#before;
    counters[0] = before[0]! + whole(view, received);
    counters[1] = before[1]! + whole(view, answered);
    counters[2] = before[2]! + whole(view, dropped);
    counters[3] = before[3]! + this.#failed;
    counters[4] = before[4]! + whole(view, shed);
    for (let i = 0; i < this.#reasons.length; i++) counters[OWN + i] = before[OWN + i]! + whole(view, this.#reasons[i]!);
  }
}

/** A u64 as a number, without a BigInt. */
function whole(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
