// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How events cross into the core's associations, and how the actions that it asks for come out. Decides nothing.
 *
 * Monotonic times cross as unsigned 32.32 s of the steered clock's own monotonic scale; outside they are bigint ns.
 * Tested in discipline.test.ts.
 *
 * @module
 */

import { unsigned, type Core } from "../core/core.ts";
import { putKey } from "./authentication.ts";
import type { SymmetricKey } from "./keys.ts";
import type { SourceVersion } from "./version.ts";

/** What the core asks the host to do after an event. */
export interface Actions {
  /** The packet to send; a copy. */
  readonly send?: Uint8Array;
  /** When to call the source's timer again, monotonic ns. */
  readonly timerNs?: bigint;
  /** The steering may have changed: obey it. */
  readonly steer: boolean;
  /** The source's name may have moved. */
  readonly resolve: boolean;
  /** The server does not want to be asked. */
  readonly stop: boolean;
  /** A usable answer came, also where its time is not followed. */
  readonly heard?: true;
  /** NTS keys are missing: establish them, then call the source's timer. */
  readonly establish?: true;
}

/** A moment on the steered clock and on its monotonic scale, ns. */
export interface Moment {
  readonly time: bigint;
  readonly monotonic: bigint;
}

/** What a source is opened with, whatever its mode. */
export interface OpenOptions {
  readonly version: SourceVersion;
  readonly minPoll: number;
  readonly maxPoll: number;
  readonly interleaved?: boolean;
  /** We are a server ourselves, and must not follow who follows us. */
  readonly serving?: boolean;
  /** With NTPv5: ask for what network nodes on the way corrected. */
  readonly correction?: boolean;
  /** Believe only what this key vouches for. */
  readonly key?: SymmetricKey | undefined;
}

const ACTION_SEND = 1 << 0;
const ACTION_TIMER = 1 << 1;
const ACTION_STEER = 1 << 2;
const ACTION_RESOLVE = 1 << 3;
const ACTION_STOP = 1 << 4;
const ACTION_ESTABLISH = 1 << 5;
const ACTION_HEARD = 1 << 6;
/** Monotonic clocks start near zero and live for less than 68 years. */
const PIVOT_NS = 0n;

/** Modes that NTPv5 does not have. */
export function oldVersion(version: SourceVersion): 3 | 4 {
  return version === 3 ? 3 : 4;
}

/** The crossing of one instance of the core. */
export class CoreEvents {
  readonly core: Core;
  readonly #slot: number;
  readonly #slotSize: number;

  constructor(core: Core) {
    this.core = core;
    this.#slot = core.constant("SLOTS");
    this.#slotSize = core.constant("SLOT_STRIDE_OCTETS");
  }

  /** Time of the steered clock as a timestamp. */
  timestamp(timeNs: bigint): bigint {
    return this.core.exports.timestampFromUnixNs(timeNs);
  }

  /** Monotonic ns to 32.32 s. The origin does not matter and era wraps are harmless, as only differences count. */
  monotonic(ns: bigint): bigint {
    return this.core.exports.timestampFromUnixNs(ns);
  }

  /** The way back of {@link monotonic}. */
  nanoseconds(monotonic: bigint): bigint {
    return this.core.exports.timestampToUnixNs(unsigned(monotonic), PIVOT_NS);
  }

  /** Believe of a source only what this key vouches for. */
  useKey(index: number, key: SymmetricKey | undefined): void {
    if (!key) return;
    putKey(this.core, index, key);
    this.core.exports.associationKey(index);
  }

  /** A datagram into the core's slot; undefined: longer than any NTP packet. */
  put(data: Uint8Array): number | undefined {
    if (data.length > this.#slotSize) return undefined;
    this.core.bytes.set(data, this.#slot);
    return data.length;
  }

  /** A datagram for a source, and when it came. One too long is an empty one: passed over and counted alike. */
  take(index: number, data: Uint8Array, came: Moment): number {
    const length = this.put(data) ?? 0;
    this.core.exports.associationCame(index, this.timestamp(came.time), this.monotonic(came.monotonic));
    return length;
  }

  /** What the event that returned `bits` asks for. */
  actions(bits: number): Actions {
    const { view, exports, bytes } = this.core;
    const at = exports.actionOut();
    const length = view.getInt32(at + this.core.constant("ACTION_LENGTH"), true);
    return {
      ...(bits & ACTION_SEND ? { send: bytes.slice(this.#slot, this.#slot + length) } : {}),
      ...(bits & ACTION_TIMER ? { timerNs: this.nanoseconds(view.getBigUint64(at + this.core.constant("ACTION_TIMER"), true)) } : {}),
      steer: (bits & ACTION_STEER) !== 0,
      resolve: (bits & ACTION_RESOLVE) !== 0,
      stop: (bits & ACTION_STOP) !== 0,
      ...(bits & ACTION_HEARD ? { heard: true as const } : {}),
      ...(bits & ACTION_ESTABLISH ? { establish: true as const } : {}),
    };
  }
}
