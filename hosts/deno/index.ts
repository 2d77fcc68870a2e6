// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * escapement on Deno: what this runtime lends, and the public functions over it. Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import { createApi, type Escapement } from "../common/api.ts";
import type { Host } from "../common/host.ts";
import { devicesOf } from "../native/devices.ts";
import { clockAndSockets } from "../native/host.ts";
import { load } from "../native/ffi-deno.ts";
import type { Ffi } from "../native/ffi.ts";
import { listenHttp } from "../node/http.ts";
import { runtimeClock } from "./clock.ts";
import { resolve } from "./dns.ts";
import { files } from "./files.ts";
import { listenTcp } from "./tcp-listen.ts";
import { connectTcp } from "./tcp.ts";
import { lendThreads } from "../node/threads.ts";
import { serialLines } from "./serial.ts";
import { openUdp } from "./udp.ts";

export * from "../common/public.ts";

/** The FFI of Deno, or undefined where it is missing or forbidden. */
export async function lendFfi(): Promise<Ffi | undefined> {
  return load();
}

/**
 * What Deno lends. With kernel time stamps and `clock_gettime` where an FFI is to be had, unless `native` is false.
 */
export async function lendHost({ native = true }: { native?: boolean } = {}): Promise<Host> {
  const ffi = native ? await lendFfi() : undefined;
  const serveThreads = lendThreads(ffi, "deno", import.meta.url);
  const lent = clockAndSockets(ffi, runtimeClock, openUdp);
  return {
    runtime: "deno",
    version: (globalThis as unknown as { Deno: { version: { deno: string } } }).Deno.version.deno,
    random: (bytes) => crypto.getRandomValues(bytes),
    resolve,
    files,
    rootCertificates: async () => (await import("./roots.ts")).rootCertificates(),
    listenTcp,
    connectTcp,
    ...(serveThreads && { serveThreads }),
    listenHttp,
    devices: { openSerial: serialLines(lent.clock, ffi), ...devicesOf(ffi) },
    ...lent,
    listenWebSocket: async (options) => (await import("./websocket.ts")).listenWebSocket(options),
  };
}

/** The public functions; {@link Escapement} documents each. */
export const { now, query, survey, startClock, watch, serve, openSystemClock }: Escapement = createApi(lendHost);
