// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Kernel pulses: Linux's PPS devices (RFC 2783; <linux/pps.h>) by ioctl.
 *
 *   pps_kparams 40   0 i32 version  4 i32 mode  8 ktime assert offset  24 ktime clear offset
 *   pps_fdata   64   0 u32 assert sequence  4 u32 clear sequence  8 ktime assert  24 ktime clear  40 i32 mode  48 ktime timeout
 *   pps_ktime   16   0 i64 s  8 i32 ns  12 u32 flags
 *
 * The request numbers hold the size of a *pointer*, as the header declares them, so that on 64 bit they are others than on 32.
 * The kernel has stamped a pulse long before it is fetched: looking with a timeout of zero a few times a second loses
 * nothing but never blocks the event loop. A second pulse of one edge between two looks is missed and shows in the sequence.
 *
 * Sets the capture mode (needs the device open for writing, and for a mode that is not set yet CAP_SYS_TIME). Refuses to set
 * offsets or to bind the kernel's own PPS discipline. Tested in pps.test.ts against a fake layer; layout and numbers in
 * tests/native/device-layout.test.ts. Not yet proven on hardware.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { Device, PpsOptions, Pulse, PulseEdge } from "../common/refclock/devices.ts";
import { O_RDONLY, O_RDWR, type DeviceLayer } from "./device.ts";

export const PPS_GETPARAMS = 0x800870a1;
export const PPS_SETPARAMS = 0x400870a2;
export const PPS_GETCAP = 0x800870a3;
export const PPS_FETCH = 0xc00870a4;
export const PPS_API_VERS_1 = 1;
export const PPS_CAPTUREASSERT = 0x01;
export const PPS_CAPTURECLEAR = 0x02;
export const PPS_TSFMT_TSPEC = 0x1000;
export const KPARAMS = { size: 40, api_version: 0, mode: 4, assert_off_tu: 8, clear_off_tu: 24 } as const;
export const FDATA = { size: 64, assert_sequence: 0, clear_sequence: 4, assert_tu: 8, clear_tu: 24, timeout: 48 } as const;
export const KTIME = { size: 16, sec: 0, nsec: 8, flags: 12 } as const;

/** Well within a second; a pulse's age does not matter. */
const LOOK_MS = 100;
const EDGES: Record<PulseEdge, { readonly bit: number; readonly sequence: number; readonly time: number }> = {
  assert: { bit: PPS_CAPTUREASSERT, sequence: FDATA.assert_sequence, time: FDATA.assert_tu },
  clear: { bit: PPS_CAPTURECLEAR, sequence: FDATA.clear_sequence, time: FDATA.clear_tu },
};

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.length);
}

/** Open a PPS device and be told of every pulse. @throws {SystemError} or {NtpError} for what it cannot capture. */
export function openKernelPps(layer: DeviceLayer, { path, edges }: PpsOptions, onPulse: (pulse: Pulse) => void, onEnd: (error: Error) => void): Device {
  const source = new PulseSource(layer, path, edges);
  const timer = setInterval(() => {
    try {
      for (const pulse of source.fetch()) onPulse(pulse);
    } catch (error) {
      device.close();
      onEnd(error as Error);
    }
  }, LOOK_MS);
  const device = {
    close() {
      clearInterval(timer);
      source.close();
    },
  };
  return device;
}

/** One PPS device. */
export class PulseSource {
  readonly #layer: DeviceLayer;
  readonly #edges: readonly PulseEdge[];
  readonly #seen = new Map<PulseEdge, number>();
  #fd: number;

  constructor(layer: DeviceLayer, path: string, edges: readonly PulseEdge[]) {
    this.#layer = layer;
    this.#edges = edges;
    this.#fd = openEither(layer, path);
    try {
      this.#capture(path);
      // What lies there from before may be of yesterday.
      for (const [edge, { sequence }] of this.#looked(this.#look())) this.#seen.set(edge, sequence);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#fd >= 0) this.#layer.close(this.#fd);
    this.#fd = -1;
  }

  /** Pulses since the last time, in the order in which they came. */
  fetch(): Pulse[] {
    if (this.#fd < 0) return [];
    const pulses: Pulse[] = [];
    for (const [edge, pulse] of this.#looked(this.#look())) {
      if (this.#seen.get(edge) === pulse.sequence) continue;
      this.#seen.set(edge, pulse.sequence);
      pulses.push(pulse);
    }
    return pulses.sort((a, b) => (a.atNs < b.atNs ? -1 : 1));
  }

  /** Let the kernel capture the edges that are wanted, beside those that it captures already. */
  #capture(path: string): void {
    const able = new Uint8Array(4);
    this.#layer.ioctl(this.#fd, PPS_GETCAP, able);
    const wanted = this.#edges.reduce((bits, edge) => bits | EDGES[edge].bit, 0);
    const can = viewOf(able).getInt32(0, true);
    if ((can & wanted) !== wanted) {
      throw new NtpError("UNSUPPORTED", `expected ${path} to capture ${this.#edges.join(" and ")}, got capabilities 0x${can.toString(16)}; choose the other edge`);
    }
    const params = new Uint8Array(KPARAMS.size);
    this.#layer.ioctl(this.#fd, PPS_GETPARAMS, params);
    const view = viewOf(params);
    const mode = view.getInt32(KPARAMS.mode, true);
    if ((mode & wanted) === wanted && (mode & PPS_TSFMT_TSPEC) !== 0) return;
    view.setInt32(KPARAMS.api_version, PPS_API_VERS_1, true);
    view.setInt32(KPARAMS.mode, mode | wanted | PPS_TSFMT_TSPEC, true);
    this.#layer.ioctl(this.#fd, PPS_SETPARAMS, params);
  }

  /** struct pps_fdata with a timeout of zero: whatever was captured last. */
  #look(): DataView {
    const data = new Uint8Array(FDATA.size);
    this.#layer.ioctl(this.#fd, PPS_FETCH, data);
    return viewOf(data);
  }

  #looked(view: DataView): [PulseEdge, Pulse][] {
    return this.#edges.map((edge) => {
      const { sequence, time } = EDGES[edge];
      const atNs = view.getBigInt64(time + KTIME.sec, true) * 1_000_000_000n + BigInt(view.getInt32(time + KTIME.nsec, true));
      return [edge, { edge, atNs, sequence: view.getUint32(sequence, true) }];
    });
  }
}

/** Who may only read it can still fetch what others let it capture. */
function openEither(layer: DeviceLayer, path: string): number {
  try {
    return layer.open(path, O_RDWR);
  } catch (error) {
    if ((error as { code?: string }).code !== "EACCES") throw error;
    return layer.open(path, O_RDONLY);
  }
}
