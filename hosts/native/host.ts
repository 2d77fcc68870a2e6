// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What FFI betters in a host: `clock_gettime`, and sockets with kernel time stamps for who asks.
 *
 * @module
 */

import type { Host, HostClock } from "../common/host.ts";
import { nativeClock } from "./clock.ts";
import type { Ffi } from "./ffi.ts";
import { startStamping } from "./stamping.ts";
import { openNativeUdp } from "./udp.ts";

/** The runtime's own way of opening a socket, its user stamps read from `clock`. */
type OpenUdp = (clock: HostClock, ...args: Parameters<NonNullable<Host["openUdp"]>>) => ReturnType<NonNullable<Host["openUdp"]>>;

/**
 * Clock and sockets of a host: native where `ffi` and the platform give them, the runtime's own elsewhere. All stamps of a
 * host come from one clock, whoever takes them.
 */
export function clockAndSockets(ffi: Ffi | undefined, runtimeClock: () => HostClock, openUdp: OpenUdp): Required<Pick<Host, "clock" | "openUdp">> {
  const native = ffi && nativeClock(ffi);
  const clock = native ?? runtimeClock();
  return {
    clock,
    async openUdp(options, handlers, stamps = "user") {
      if (!native || stamps !== "kernel") return openUdp(clock, options, handlers);
      await startStamping(ffi);
      return openNativeUdp(ffi, options, handlers);
    },
  };
}
