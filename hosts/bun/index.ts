// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * escapement on Bun: what this runtime lends, and the public functions over it. Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import process from "node:process";
import { createApi, type Escapement } from "../common/api.ts";
import type { Host } from "../common/host.ts";
import { devicesOf } from "../native/devices.ts";
import { clockAndSockets } from "../native/host.ts";
import { load } from "../native/ffi-bun.ts";
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

/** The FFI of Bun, or undefined where it is missing or forbidden. */
export async function lendFfi(): Promise<Ffi | undefined> {
  return load();
}

/**
 * What Bun lends. With kernel time stamps and `clock_gettime` where an FFI is to be had, unless `native` is false.
 */
export async function lendHost({ native = true }: { native?: boolean } = {}): Promise<Host> {
  const ffi = native ? await lendFfi() : undefined;
  const serveThreads = lendThreads(ffi, "bun", import.meta.url);
  const lent = clockAndSockets(ffi, runtimeClock, openUdp);
  return {
    runtime: "bun",
    version: process.versions["bun"] ?? "",
    random: (bytes) => crypto.getRandomValues(bytes),
    resolve,
    files,
    // TLS is a large module, and few programs need it.
    connectTls: async (options) => (await import("./tls.ts")).connectTls(options),
    listenTls: async (options, accepted) => (await import("./tls.ts")).listenTls(options, accepted),
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
