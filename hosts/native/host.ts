// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A runtime's host, bettered by what FFI gives: `clock_gettime`, and sockets with kernel time stamps for who asks.
 *
 * @module
 */

import type { Host } from "../common/host.ts";
import { nativeClock } from "./clock.ts";
import type { Ffi } from "./ffi.ts";
import { openNativeUdp } from "./udp.ts";

/** `host` with the native parts that this platform has; `host` itself where there are none. */
export function nativeHost(host: Host, ffi: Ffi | undefined): Host {
  const clock = ffi && nativeClock(ffi);
  if (!clock) return host;
  return {
    ...host,
    clock,
    openUdp: (options, handlers, stamps = "user") =>
      stamps === "kernel" ? openNativeUdp(ffi, options, handlers) : host.openUdp!(options, handlers, stamps),
  };
}
