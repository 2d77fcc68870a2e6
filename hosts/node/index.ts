// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * escapement on Node: what this runtime lends, and the public functions over it. Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import process from "node:process";
import { createApi, type Escapement } from "../common/api.ts";
import type { Host } from "../common/host.ts";
import { devicesOf } from "../native/devices.ts";
import { clockAndSockets } from "../native/host.ts";
import { load as loadKoffi } from "../native/ffi-koffi.ts";
import { load as loadNodeFfi } from "../native/ffi-node.ts";
import type { Ffi } from "../native/ffi.ts";
import { listenHttp } from "./http.ts";
import { runtimeClock } from "./clock.ts";
import { resolve } from "./dns.ts";
import { files } from "./files.ts";
import { listenTcp } from "./tcp-listen.ts";
import { connectTcp } from "./tcp.ts";
import { lendThreads } from "./threads.ts";
import { serialLines } from "./serial.ts";
import { openUdp } from "./udp.ts";

export * from "../common/public.ts";

/** The FFI of Node: koffi, or `node:ffi`, or undefined where it is missing or forbidden. */
export async function lendFfi(): Promise<Ffi | undefined> {
  return (await loadKoffi()) ?? (await loadNodeFfi());
}

/**
 * What Node lends. With kernel time stamps and `clock_gettime` where an FFI is to be had, unless `native` is false.
 */
export async function lendHost({ native = true }: { native?: boolean } = {}): Promise<Host> {
  const ffi = native ? await lendFfi() : undefined;
  const serveThreads = lendThreads(ffi, "node", import.meta.url);
  const lent = clockAndSockets(ffi, runtimeClock, openUdp);
  return {
    runtime: "node",
    version: process.versions.node,
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
    webSocket: async () => (await import("./websocket.ts")).webSocket(),
    listenWebSocket: async (options) => (await import("./websocket.ts")).listenWebSocket(options),
  };
}

/** The public functions; {@link Escapement} documents each. */
export const { now, query, survey, startClock, watch, serve, openSystemClock }: Escapement = createApi(lendHost);
