// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What FFI betters in a host: `clock_gettime`, and sockets with time stamps of the kernel, or of network cards, for who asks;
 * and what it alone gives, the system's clock for steering.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import type { Host, HostClock, OpenUdp } from "../common/host.ts";
import { cardMeans } from "./card-means.ts";
import { Cards, type OpenCards } from "./cards.ts";
import { nativeClock } from "./clock.ts";
import type { Ffi } from "./ffi.ts";
import { startStamping } from "./stamping.ts";
import { openNativeUdp } from "./udp.ts";

/** The runtime's own way of opening a socket, its user stamps read from `clock`. */
type OpenRuntimeUdp = (clock: HostClock, ...args: Parameters<OpenUdp>) => ReturnType<OpenUdp>;

/**
 * Clock and sockets of a host: native where `ffi` and the platform give them, the runtime's own elsewhere. All stamps of a
 * host come from one clock, whoever takes them.
 */
export function clockAndSockets(ffi: Ffi | undefined, runtimeClock: () => HostClock, openUdp: OpenRuntimeUdp): Required<Pick<Host, "clock" | "openUdp" | "systemClock">> & Pick<Host, "stampByCards"> {
  const native = ffi && nativeClock(ffi);
  const clock = native ?? runtimeClock();
  const opening = (cards?: Cards): OpenUdp => async (options, handlers, stamps = "user") => {
    if (!native || stamps === "user") return openUdp(clock, options, handlers);
    await startStamping(ffi);
    return openNativeUdp(ffi, options, handlers, cards ? { cards } : {});
  };
  const means = native && cardMeans(ffi);
  const open: OpenCards = new Map();
  return {
    clock,
    openUdp: opening(),
    // Few programs steer.
    systemClock: async () => (await import("./steer.ts")).systemClockOf(ffi),
    ...(means && { stampByCards: (wanted, tell) => opening(new Cards(means, wanted, { open, tell })) }),
  };
}
