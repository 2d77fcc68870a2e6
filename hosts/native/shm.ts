// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTP's shared memory: System V segments of key 0x4e545030 + unit, as gpsd and others write them for ntpd's driver 28.
 *
 * A unit of 0 or 1 is made for root alone (600), others for everybody (666), as ntpd makes them; what exists is taken as it
 * is. The layout is foreign.ts's. In mode 1 the writer raises `count` before and after: a reading between the two is
 * thrown away. In mode 0 nothing protects it but `valid`, so that it is read twice.
 *
 * Refuses segments that are too short. Tested in tests/native/local-devices.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { ForeignSample, SharedMemory, SharedMemoryOptions } from "../common/refclock/devices.ts";
import { SHARED_MEMORY_OCTETS, readSharedMemory } from "../common/refclock/foreign.ts";
import type { DeviceLibc } from "./device.ts";
import { Block } from "./memory.ts";

export const NTP_KEY = 0x4e545030;
export const IPC_CREAT = 0o1000;
const ROOT_UNITS = 2;
const AT_VALID = 48;

/** A segment, attached. The writer's side uses the address, too. */
export class Segment {
  readonly #libc: DeviceLibc;
  readonly #block: Block;
  readonly address: number;
  #open = true;

  constructor(libc: DeviceLibc, unit: number) {
    if (!(Number.isInteger(unit) && unit >= 0 && unit <= 255)) throw new NtpError("INVALID_ARGUMENT", `expected a unit of 0 to 255, got ${unit}`);
    this.#libc = libc;
    this.#block = new Block(libc.ffi, SHARED_MEMORY_OCTETS);
    const id = libc.shmget(NTP_KEY + unit, SHARED_MEMORY_OCTETS, IPC_CREAT | (unit < ROOT_UNITS ? 0o600 : 0o666));
    if (id < 0) throw libc.failure("shmget", `unit ${unit}`);
    this.address = libc.shmat(id, 0, 0);
    // (void *) -1, which some FFIs round to the nearest double.
    if (this.address <= 0 || this.address >= 2 ** 63) throw libc.failure("shmat", `unit ${unit}`);
  }

  /** A copy of what stands there. */
  read(): DataView {
    this.#libc.memcpy(this.#block.address, this.address, SHARED_MEMORY_OCTETS);
    return new DataView(this.#block.bytes.slice().buffer);
  }

  /** Write a four-octet field. */
  put(at: number, value: number): void {
    this.#block.view.setInt32(0, value, true);
    this.#libc.memcpy(this.address + at, this.#block.address, 4);
  }

  /** Write all of it. */
  write(view: DataView): void {
    this.#block.bytes.set(new Uint8Array(view.buffer, view.byteOffset, SHARED_MEMORY_OCTETS));
    this.#libc.memcpy(this.address, this.#block.address, SHARED_MEMORY_OCTETS);
  }

  close(): void {
    if (this.#open) this.#libc.shmdt(this.address);
    this.#open = false;
  }
}

/** @throws {SystemError} `EACCES` for a unit that is not for us. */
export function attachSharedMemory(libc: DeviceLibc, { unit }: SharedMemoryOptions): SharedMemory {
  const segment = new Segment(libc, unit);
  let last = 0n;
  return {
    take() {
      const sample = takeFrom(segment);
      // A writer that does not look at `valid` is told by the time itself.
      if (!sample || sample.receivedNs === last) return undefined;
      last = sample.receivedNs;
      return sample;
    },
    close: () => segment.close(),
  };
}

/** One sample, whole, and taken: `valid` is cleared. */
function takeFrom(segment: Segment): ForeignSample | undefined {
  const before = segment.read();
  const sample = readSharedMemory(before);
  if (typeof sample === "string") {
    if (sample === "bad") segment.put(AT_VALID, 0);
    return undefined;
  }
  const after = segment.read();
  if (!alike(before, after)) return undefined;
  segment.put(AT_VALID, 0);
  return sample;
}

/** Did nobody write in between? In both modes: the count is among the octets. */
function alike(a: DataView, b: DataView): boolean {
  for (let at = 0; at < AT_VALID + 12; at += 4) if (a.getInt32(at, true) !== b.getInt32(at, true)) return false;
  return true;
}
