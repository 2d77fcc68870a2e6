// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's batches in linear memory, filled as recvmmsg does; control messages octet by octet.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Core } from "../../hosts/common/core/core.ts";

/** A linear memory as high up as user space goes. */
export const BASE = 0x7fff_0000_1000n;
const UNIX_EPOCH = 2_208_988_800n;

/** A timestamp of `s` seconds since 1970, and `ns`. */
export const stamp = (s: bigint, ns = 0n): bigint => ((s + UNIX_EPOCH) << 32n) + ((ns << 32n) + 500_000_000n) / 1_000_000_000n;

export const own = (address: bigint): number => Number(address - BASE);

/** One message of a batch whose array of mmsghdr begins at `array`. */
export function messageAt(core: Core, array: number, index: number) {
  const header = array + index * 64;
  const vector = own(core.u64(header + 16));
  return {
    header, name: core.u64(header) === 0n ? 0 : own(core.u64(header)), nameLength: core.u32(header + 8), vectors: core.u64(header + 24),
    control: core.u64(header + 32) === 0n ? 0 : own(core.u64(header + 32)), controlLength: Number(core.u64(header + 40)),
    flags: core.u32(header + 48), payload: own(core.u64(vector)), room: Number(core.u64(vector + 8)),
  };
}

export interface Arrival {
  octets: Uint8Array;
  name?: Uint8Array;
  control?: Uint8Array;
  flags?: number;
  length?: number;
}

export const IPV4 = Uint8Array.of(2, 0, 0xb0, 0x01, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0);

/** Do as recvmmsg does. */
export function arriveAt(core: Core, array: number, arrivals: readonly Arrival[]): void {
  arrivals.forEach(({ octets, name = IPV4, control = new Uint8Array(0), flags = 0, length = octets.length }, index) => {
    const { header, name: nameAt, control: controlAt, payload } = messageAt(core, array, index);
    core.bytes.set(octets, payload);
    if (nameAt !== 0) core.bytes.set(name, nameAt);
    core.bytes.set(control, controlAt);
    core.setU32(header + 8, nameAt === 0 ? 0 : name.length);
    core.setU64(header + 40, BigInt(control.length));
    core.setU32(header + 48, flags);
    core.setU32(header + 56, length);
  });
}

/** A control message, padded to 8. */
export function control(level: number, type: number, data: Uint8Array): Uint8Array {
  const octets = new Uint8Array((16 + data.length + 7) & ~7);
  const view = new DataView(octets.buffer);
  view.setBigUint64(0, BigInt(16 + data.length), true);
  view.setInt32(8, level, true);
  view.setInt32(12, type, true);
  octets.set(data, 16);
  return octets;
}

/** timespecs, each of ns since 1970; 0: not taken. */
export function timespecs(...times: readonly bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 * times.length));
  times.forEach((ns, index) => {
    view.setBigInt64(index * 16, ns / 1_000_000_000n, true);
    view.setBigInt64(index * 16 + 8, ns % 1_000_000_000n, true);
  });
  return new Uint8Array(view.buffer);
}

export const join = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.concat(parts));
