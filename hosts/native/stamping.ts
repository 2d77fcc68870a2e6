// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Make the kernel stamp datagrams before the first one that matters.
 *
 * Linux switches receive stamps on for the whole machine when the first socket asks, a moment later by a work queue, and off
 * again with the last. A one-shot request would open its socket, miss the moment and get its answer unstamped. So one
 * socket that asks is kept open for the life of the process, and a datagram is sent in a circle until it comes back
 * stamped. Tested in tests/contract/contract.test.ts, and in stamping.test.ts where time is short.
 *
 * @module
 */

import type { Ffi } from "./ffi.ts";
import { bindLibc } from "./libc.ts";
import { openSocket } from "./open.ts";
import { openNativeUdp } from "./udp.ts";

/** How long to go on at most, ms: the work queue needs a moment, on a busy machine some more. */
const LIMIT_MS = 200;
/** …and how many datagrams to send round at least: on a machine busy enough that time is over before the first is back. */
const FEWEST = 16;
/** What one datagram on its way round may take, and the pause after it, ms. */
const CIRCLE_LIMIT_MS = 20;
const PAUSE_MS = 1;

const started = new WeakMap<Ffi, Promise<void>>();

/** Resolves when stamps flow, or when they seem not to on this machine. Never rejects. */
export function startStamping(ffi: Ffi): Promise<void> {
  let running = started.get(ffi);
  if (!running) {
    running = start(ffi).catch(() => {});
    started.set(ffi, running);
  }
  return running;
}

async function start(ffi: Ffi): Promise<void> {
  const libc = bindLibc(ffi);
  if (!libc) return;
  // Kept open on purpose; the kernel closes it with the process.
  openSocket(libc, { family: 4, address: "127.0.0.1" });
  let arrived: (stamped: boolean) => void = () => {};
  const handlers = { onDatagram: ({ stamp }: { stamp: string }) => arrived(stamp === "kernel"), onError: () => {} };
  const circle = await openNativeUdp(ffi, { family: 4, address: "127.0.0.1" }, handlers);
  try {
    const end = performance.now() + LIMIT_MS;
    for (let circles = 0; circles < FEWEST || performance.now() < end; circles++) {
      const stamped = within(CIRCLE_LIMIT_MS, new Promise<boolean>((resolve) => (arrived = resolve)));
      await circle.send(new Uint8Array(1), circle.local);
      if (await stamped) return;
      await within(PAUSE_MS, new Promise(() => {}));
    }
  } finally {
    circle.close();
  }
}

/** What the promise resolves to, or undefined after `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
