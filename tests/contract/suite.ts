// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What every host must do alike. One suite, run unchanged on each runtime by main.ts; contract.test.ts starts them.
 *
 * A contract throws when it does not hold. It uses only what a user can import.
 *
 * @module
 */

import type { Datagram, Escapement, Host, NtpError, UdpSocket } from "../../hosts/node/index.ts";

/** What is under contract. */
export interface Subject {
  readonly host: Host;
  readonly api: Escapement;
  /** The stamps that this run is to have. */
  readonly stamps: "kernel" | "user";
  /** Whether a refused datagram is reported. */
  readonly reportsRefusal: boolean;
}

export interface Contract {
  readonly name: string;
  check(subject: Subject): Promise<void> | void;
}

/** Fails with `what` unless `holds`. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** What must throw an NtpError of this code. */
export async function mustThrow(code: string, act: () => Promise<unknown>): Promise<NtpError> {
  try {
    await act();
  } catch (error) {
    must((error as NtpError).code === code, `expected ${code}, got ${(error as NtpError).code}: ${(error as Error).message}`);
    return error as NtpError;
  }
  throw new Error(`expected ${code}, but nothing was thrown`);
}

/** A socket whose datagrams can be awaited. */
export async function listening({ host }: Subject, family: 4 | 6): Promise<{ socket: UdpSocket; next: () => Promise<Datagram> }> {
  const waiting: ((datagram: Datagram) => void)[] = [];
  const ready: Datagram[] = [];
  const socket = await host.openUdp!(
    { family, address: family === 4 ? "127.0.0.1" : "::1" },
    {
      onDatagram(datagram) {
        const copy = { ...datagram, data: datagram.data.slice() };
        const waiter = waiting.shift();
        if (waiter) waiter(copy);
        else ready.push(copy);
      },
      onError() {},
    },
    "kernel",
  );
  const next = () => {
    const datagram = ready.shift();
    return datagram ? Promise.resolve(datagram) : new Promise<Datagram>((resolve) => waiting.push(resolve));
  };
  return { socket, next };
}
