// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The devices of reference clocks that FFI opens: pulses, shared memory, Unix datagram sockets. None without FFI.
 * Tested in tests/native/local-devices.test.ts.
 *
 * @module
 */

import type { RefClockDevices } from "../common/refclock/devices.ts";
import { bindDevices, kernelLayer } from "./device.ts";
import type { Ffi } from "./ffi.ts";
import { hardwareReport } from "./hardware.ts";
import { openKernelPps } from "./pps.ts";
import { attachSharedMemory } from "./shm.ts";
import { bindLocalSocket, connectToLocalSocket } from "./local-socket.ts";

export function devicesOf(ffi: Ffi | undefined): Omit<RefClockDevices, "openSerial"> {
  const libc = ffi && bindDevices(ffi);
  if (!libc) return {};
  const layer = kernelLayer(libc);
  return {
    openPps: async (options, onPulse, onEnd) => openKernelPps(layer, options, onPulse, onEnd),
    openSharedMemory: async (options) => attachSharedMemory(libc, options),
    openLocalSocket: async (path, onDatagram) => bindLocalSocket(libc, path, onDatagram),
    hardwareStamping: (name) => hardwareReport(layer, name),
    connectLocalSocket: async (path) => connectToLocalSocket(libc, path),
  };
}
