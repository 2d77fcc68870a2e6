// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which transmit stamp belongs to which datagram.
 *
 * The kernel numbers a socket's datagrams (SOF_TIMESTAMPING_OPT_ID) and puts each one's stamp into the error queue
 * when it is handed to the device: at once on loopback and most drivers, later under traffic shaping, never where a
 * driver does not stamp. A stamp given to the wrong datagram would be a silent error of T1 or T3, so two things must
 * fit: the number, and that the stamp is not older than the user stamp taken right before that very send. What does
 * not fit is dropped, and the datagram keeps its user stamp and says so.
 *
 * Where a network card stamps, two stamps come for one datagram: the kernel's first, which is kept in case that the card's
 * is refused or does not come, then the card's.
 *
 * Tested by transmit.test.ts.
 *
 * @module
 */

import type { SendStamp } from "../common/host.ts";

/**
 * The kernel's clock and the vDSO's are one clock read in two places; allow a microsecond of disagreement between
 * cores. An older stamp belongs to an earlier datagram, or the wall clock was stepped back in between.
 */
const TOLERANCE_NS = 1000n;

/** After this many stamps missed in a row, sending no longer waits for one that is not there at once. */
const PATIENCE = 8;

interface Waiting {
  /** The best stamp so far: the process' own, before there is another. */
  best: SendStamp;
  readonly userNs: bigint;
  readonly deadlineMs: number;
  readonly resolve: (stamp: SendStamp) => void;
}

/** The datagrams of one socket that have been sent and whose stamp is not known yet. */
export class TransmitStamps {
  readonly #waiting = new Map<number, Waiting>();
  readonly #waitMs: number;
  #next = 0;
  #missed = 0;

  /** @param waitMs how long a stamp may take, in milliseconds (0: it must be there at once) */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** Datagrams still waiting. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Account for a datagram that the kernel has just taken; resolves when its stamp, or its lack, is certain. */
  sent(userNs: bigint, nowMs: number): Promise<SendStamp> {
    const id = this.#next;
    this.#next = (id + 1) >>> 0; // the kernel's counter is 32 bits wide
    const deadlineMs = nowMs + (this.#missed >= PATIENCE ? 0 : this.#waitMs);
    return new Promise((resolve) => this.#waiting.set(id, { best: { sentNs: userNs, stamp: "user" }, userNs, deadlineMs, resolve }));
  }

  /** The kernel's stamp came out of the error queue; `more`: the card's is to follow. */
  arrived(id: number, kernelNs: bigint, more = false): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || kernelNs + TOLERANCE_NS < waiting.userNs) return;
    waiting.best = { sentNs: kernelNs, stamp: "kernel" };
    if (more) return;
    this.#missed = 0;
    this.#settle(id, waiting);
  }

  /**
   * The card's stamp came. `judge` gives it in terms of the system's clock, by the best that is known without it, or
   * undefined: then that one has to do.
   */
  arrivedFromCard(id: number, judge: (best: SendStamp) => bigint | undefined): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    const sentNs = judge(waiting.best);
    if (sentNs !== undefined) waiting.best = { sentNs, stamp: "hardware" };
    this.#missed = 0;
    this.#settle(id, waiting);
  }

  /** Give up on what is overdue. */
  expire(nowMs: number): void {
    for (const [id, waiting] of this.#waiting) {
      if (nowMs < waiting.deadlineMs) continue;
      this.#missed++;
      this.#settle(id, waiting);
    }
  }

  /** The kernel's counter starts again at 0, or the socket is closed: nothing that waits can be matched any more. */
  restart(): void {
    for (const [id, waiting] of this.#waiting) this.#settle(id, waiting);
    this.#next = 0;
  }

  #settle(id: number, waiting: Waiting): void {
    this.#waiting.delete(id);
    waiting.resolve(waiting.best);
  }
}
