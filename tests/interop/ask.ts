// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our own client as the tests use it, and what they may expect of it on loopback.
 *
 * @module
 */

import { expect } from "vitest";
import { lendHost, query, type QueryOptions, type Sample } from "../../hosts/node/index.ts";
import { COMMAND, Peer, eventually, type StartOptions } from "../support/peers.ts";

/** Whether our sockets have the kernel's time stamps here: koffi on 64-bit Linux. */
export const kernelStamps = await hasKernelStamps();
if (!kernelStamps) console.warn("SKIPPED: no kernel time stamps on this machine (koffi, 64-bit Linux)");

/** On one machine the true offset is 0; this much may the paths there and back differ, s. */
export const AGREEMENT = kernelStamps ? 100e-6 : 2e-3;

/** How often {@link best} asks: enough that one exchange meets an idle moment of a busy machine. */
const TRIES = 12;

/**
 * The sample of least delay of several, all of which must be usable and true within their own bound. The first exchange of a
 * process waits for the compiler, and any may meet a busy processor: that shows in the delay.
 */
export async function best(source: string, options: QueryOptions = {}): Promise<Sample> {
  const samples: Sample[] = [];
  for (let i = 0; i < TRIES; i++) samples.push(await query(source, options));
  for (const sample of samples) {
    expect(sample.problems(), source).toEqual([]);
    expect(Math.abs(sample.offset), "the true offset, 0, lies within the bound").toBeLessThanOrEqual(sample.rootDistance);
  }
  return samples.reduce((a, b) => (b.delay < a.delay ? b : a));
}

async function hasKernelStamps(): Promise<boolean> {
  const host = await lendHost();
  const socket = await host.openUdp?.({ family: 4 }, { onDatagram() {}, onError() {} }, "kernel");
  socket?.close();
  return socket?.stamps === "kernel";
}

/** Code and message of the error that a promise rejects with; the code is "none" when it does not. */
export async function failure(attempt: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    return { code: "none", message: JSON.stringify(await attempt) };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { code: String(code), message: String(message) };
  }
}

/** `escapement serve` in the foreground of a process of its own, once it listens. */
export async function startServe(args: readonly string[], options: StartOptions = {}): Promise<Peer> {
  const peer = new Peer(process.execPath, [COMMAND, "serve", "--json", ...args], options);
  await eventually("escapement serve to listen", () => peer.stdout.includes("addresses") || undefined, peer);
  return peer;
}

export { formatEndpoint as sourceOf } from "../../hosts/common/address.ts";
