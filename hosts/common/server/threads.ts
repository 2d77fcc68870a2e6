// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a host lends so that a server can run in threads of its own, and what is said between it and them.
 *
 * Said: commands as messages, in order. Shared: one word that a thread blocked in the kernel looks at after each batch (how
 * many messages there are for it), and its counters. A thread owns no socket: the one who started it does, so that a thread
 * that dies loses no datagram, and its successor needs no right to bind. Tested in crew.test.ts.
 *
 * @module
 */

import type { Endpoint, StampingCards } from "../host.ts";
import type { ClockReading } from "./reading.ts";
import type { ClientState } from "./clients.ts";
import type { ControlOptions } from "./control.ts";
import type { Reconfiguration } from "./features.ts";
import type { CookieKeySet } from "./ntscookies.ts";
import type { BroadcastOptions, ServeOptions, ServerUpdate } from "./serve.ts";

/** Network cards that are to stamp, and who is told why the kernel's stamps have to do. */
export interface CardsPlan {
  readonly wanted: StampingCards;
  readonly tell: (reason: string) => void;
}

/** A network card that stamps, switched on. */
export interface ServerCard {
  readonly name: string;
  /** Index of its interface. */
  readonly device: number;
  /** Descriptor of its clock, of the whole process. */
  readonly clock: number;
}

/** Which sockets are wanted. */
export interface SocketPlan {
  /** Absent: all addresses, of one socket if the host can. */
  readonly listen: readonly string[] | undefined;
  readonly port: number;
  /** Sets of sockets on the same addresses, among which the kernel shares the clients out. */
  readonly sets: number;
  readonly device: string | undefined;
  /** Differentiated services code point, 0..63. */
  readonly dscp: number | undefined;
  readonly receiveBuffer: number;
  /** The first set may send to broadcast addresses. */
  readonly broadcast: boolean;
  /** Absent: the kernel alone stamps. */
  readonly cards?: CardsPlan;
}

/** Sockets of the whole process, as file descriptors. */
export interface OpenedSockets {
  readonly addresses: readonly Endpoint[];
  /** One for each thread. */
  readonly sets: readonly (readonly number[])[];
  /** Cards that stamp for them. */
  readonly cards?: readonly ServerCard[];
  /**
   * Send from the server's own port: by the socket at `place` of a set, else by the first of the right family. Throws the
   * system's error.
   */
  announce(packet: Uint8Array, to: Required<Pick<BroadcastOptions, "address" | "port" | "ttl">> & Pick<BroadcastOptions, "interface"> & { readonly place?: number }): void;
  close(): void;
}

/** Options as far as they can be sent to a thread. */
export type ThreadOptions = Omit<ServeOptions, "clock" | "onEvent" | "onSoftwareTimestamps" | "metrics" | "control" | "nts"> & {
  readonly control?: Omit<ControlOptions, "report">;
  /** What the server's NTPv5 reference identifier is made of. */
  readonly identity?: Uint8Array;
};

/** All that a thread is told when it starts. */
export interface ThreadTask {
  readonly options: ThreadOptions;
  /** What is said of the clock by now, if other than in the options: a thread MUST NOT answer before it knows. */
  readonly update?: ServerUpdate;
  /** The clock to serve, if other than the host's. */
  readonly reading?: ClockReading;
  /** Keys of NTS cookies; absent: NTS is not served. */
  readonly cookieKeys?: CookieKeySet;
  /** Serve these; absent: open the runtime's own. */
  readonly descriptors?: readonly number[];
  /** Cards that stamp for these; absent: the kernel alone does. */
  readonly cards?: readonly ServerCard[];
  readonly shared: SharedArrayBuffer;
  /** The core, compiled once for all threads. */
  readonly module: WebAssembly.Module;
}

/** Requests with a number `ask` are answered by `told` with that number, once done. */
export type ToThread =
  | { readonly update: ServerUpdate }
  | { readonly configure: Reconfiguration }
  | { readonly reading: ClockReading }
  | { readonly ask: number; readonly cookieKeys: CookieKeySet }
  | { readonly ask: number; readonly clients: true }
  | { readonly stop: true };
export type FromThread =
  | { readonly ready: readonly Endpoint[]; readonly counters: readonly string[] }
  | { readonly failed: { readonly code: string; readonly message: string } }
  | { readonly told: number; readonly clients?: readonly ClientState[] }
  /** A control message (mode 6) from who may send one; the thread's owner answers it. */
  | { readonly control: Uint8Array; readonly from: Endpoint; readonly place: number }
  /** Why a card's stamps were not used. */
  | { readonly software: string }
  | { readonly stopped: true };

/** The one who started a thread hears this of it. */
export interface ThreadEvents {
  message(message: FromThread): void;
  /** It is gone, whether told to or not. */
  gone(error: Error | undefined): void;
}

export interface ServeThread {
  post(message: ToThread): void;
  /** End it at once, whatever it does. */
  terminate(): Promise<void>;
}

/** Threads, and sockets with kernel time stamps where the host has them. */
export interface ServeThreads {
  /** Absent: threads use the runtime's own sockets, one thread at most. Throws the system's error. */
  openSockets?(plan: SocketPlan): OpenedSockets;
  /** Become another user, for good. Threads that are started afterwards are that user's. */
  dropPrivileges?(user: string): void;
  start(task: ThreadTask, events: ThreadEvents): ServeThread;
}

// --- the shared memory of a thread ---

/** Begins the names of the core's own counters, by reason. */
export const REASONS = "core.";
const COUNTERS_AT = 64;
export const COUNTER_LIMIT = 120;

/** Memory for one thread: the word, alone in its cache line, and the counters. */
export function sharedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTERS_AT + COUNTER_LIMIT * 8);
}

/** How many messages the thread has been sent, in element 0. */
export function attentionOf(shared: SharedArrayBuffer): Int32Array {
  return new Int32Array(shared, 0, 1);
}

/** Doubles, as they hold whole numbers to 2^53 and, aligned, are read and written whole on every machine there is. */
export function countersOf(shared: SharedArrayBuffer): Float64Array {
  return new Float64Array(shared, COUNTERS_AT, COUNTER_LIMIT);
}
