// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reference clocks that other programs hand us: NTP's shared memory (gpsd, and whoever feeds ntpd's driver 28), and datagrams
 * as chrony's SOCK driver takes them, with or without numbered seconds. Tested in tests/interop/refclock.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Device, ForeignSample, LocalSender, RefClockDevices } from "./devices.ts";
import { Driver } from "./driver.ts";
import { readSock, writeSock } from "./foreign.ts";

/** Often enough for a sample a second, and for the writer never to wait. */
const LOOK_MS = 250;
/** A sample this old was left behind by a writer that is gone, ns; and none is from the future. */
const STALE_NS = 10_000_000_000n;
const FUTURE_NS = 1_000_000_000n;

interface Means {
  readonly devices: RefClockDevices;
  /** The host's wall clock, ns since 1970. */
  readonly now: () => bigint;
}

/** What a writer of foreign samples is followed by: fresh ones are told. */
abstract class ForeignClock extends Driver {
  protected readonly means: Means;
  readonly #dispersion: number;

  constructor(means: Means, options: ConstructorParameters<typeof Driver>[0], dispersion: number) {
    super(options);
    this.means = means;
    this.#dispersion = dispersion;
  }

  protected offer({ timeNs, receivedNs, leap, pulse }: ForeignSample): void {
    const age = this.means.now() - receivedNs;
    if (age > STALE_NS || age < -FUTURE_NS) return this.tellBad(`its samples are ${(Number(age) / 1e9).toFixed(1)} s old`);
    this.alive();
    if (leap === 3) this.tellBad("whoever feeds it says that it is not synchronised");
    this.tell({ timeNs, receivedNs, pulse, leap, dispersion: this.#dispersion, health: leap === 3 ? "bad" : "good" });
  }
}

export interface SharedMemoryClockOptions {
  readonly unit: number;
  readonly dispersion: number;
}

export class SharedMemoryClock extends ForeignClock {
  readonly #unit: number;

  constructor(means: Means, { unit, dispersion }: SharedMemoryClockOptions) {
    super(means, { refid: `SHM${unit}`.slice(0, 4), precision: 1e-6, description: `shared memory ${unit}` }, dispersion);
    this.#unit = unit;
  }

  protected async open(gone: (error?: Error) => void): Promise<Device> {
    const { openSharedMemory } = this.means.devices;
    if (!openSharedMemory) throw new NtpError("UNSUPPORTED", "expected a host with System V shared memory, got one without; it needs FFI on 64-bit Linux");
    const memory = await openSharedMemory({ unit: this.#unit });
    const timer = setInterval(() => {
      try {
        const sample = memory.take();
        if (sample) this.offer(sample);
      } catch (error) {
        clearInterval(timer);
        gone(error as Error);
      }
    }, LOOK_MS);
    return {
      close() {
        clearInterval(timer);
        memory.close();
      },
    };
  }
}

export interface SockClockOptions {
  /** Where the socket is made. */
  readonly path: string;
  readonly dispersion: number;
}

/** We are what chrony is to its feeders. */
export class SockClock extends ForeignClock {
  readonly #path: string;
  /** Datagrams that were none. */
  malformed = 0;

  constructor(means: Means, { path, dispersion }: SockClockOptions) {
    super(means, { refid: "SOCK", precision: 1e-6, description: path }, dispersion);
    this.#path = path;
  }

  protected open(): Promise<Device> {
    const { openLocalSocket } = this.means.devices;
    if (!openLocalSocket) throw new NtpError("UNSUPPORTED", "expected a host with Unix datagram sockets, got one without; they need FFI on 64-bit Linux");
    return openLocalSocket(this.#path, (data) => {
      const sample = readSock(data);
      if (sample) this.offer(sample);
      else this.malformed += 1;
    });
  }
}

/** Feeds a chronyd (`refclock SOCK path`), or another escapement. Samples are dropped while nobody listens. */
export class SockFeed {
  readonly #devices: RefClockDevices;
  readonly #path: string;
  #sender: LocalSender | undefined;
  /** Why the last sample was dropped. */
  lastError: string | undefined;

  constructor(devices: RefClockDevices, path: string) {
    this.#devices = devices;
    this.#path = path;
  }

  /** True when it was taken over. Never rejects. */
  async send(sample: ForeignSample): Promise<boolean> {
    const { connectLocalSocket } = this.#devices;
    try {
      if (!connectLocalSocket) throw new NtpError("UNSUPPORTED", "expected a host with Unix datagram sockets, got one without");
      this.#sender ??= await connectLocalSocket(this.#path);
      this.#sender.send(writeSock(sample));
      this.lastError = undefined;
      return true;
    } catch (error) {
      // chronyd was started again: its socket is another one.
      this.close();
      this.lastError = (error as Error).message;
      return false;
    }
  }

  close(): void {
    this.#sender?.close();
    this.#sender = undefined;
  }
}
