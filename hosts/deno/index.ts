// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * escapement on Deno: what this runtime lends, and the public functions over it.
 *
 * @module
 */

import { createApi } from "../common/api.ts";
import type { Host } from "../common/host.ts";
import { nativeHost } from "../native/host.ts";
import { load } from "../native/ffi-deno.ts";
import { runtimeClock } from "./clock.ts";
import { resolve } from "./dns.ts";
import { openUdp } from "./udp.ts";

export * from "../common/public.ts";

/** What Deno lends, with kernel time stamps and `clock_gettime` where an FFI is to be had. Made once. */
export function lendHost(): Promise<Host> {
  return (lent ??= makeHost());
}

let lent: Promise<Host> | undefined;

async function makeHost(): Promise<Host> {
  const clock = runtimeClock();
  const host: Host = {
    runtime: "deno",
    version: (globalThis as unknown as { Deno: { version: { deno: string } } }).Deno.version.deno,
    clock,
    random: (bytes) => crypto.getRandomValues(bytes),
    resolve,
    openUdp: (options, handlers) => openUdp(clock, options, handlers),
  };
  return nativeHost(host, load());
}

export const { now, query, survey, serve } = createApi(lendHost);
