// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What every host must do alike. One suite, run unchanged on each runtime by main.ts; contract.test.ts starts them.
 *
 * A contract throws when it does not hold. It uses only what a user can import.
 *
 * @module
 */

import type { Datagram, Escapement, Host, NtpError, UdpSocket } from "../../hosts/node/index.ts";
import type { Asked, ServerName } from "./servers.ts";

/** What a contract needs that not every host lends: UDP sockets to bind, names to look up, a life longer than one request. */
export type Need = "sockets" | "names" | "life";

/** Of a host whose datagrams go by a relay. */
export const BY_RELAY = {
  sockets: "a relay carries requests and their replies: there is no socket to bind, and nothing comes unasked",
  names: "a relay looks names up, and goes to none that has an address of its own network",
} as const;

/** What is under contract. */
export interface Subject {
  readonly host: Host;
  readonly api: Pick<Escapement, "now" | "query" | "survey" | "startClock" | "watch">;
  /** The public functions over a host of the test's. */
  readonly createApi: (lend: () => Promise<Host>) => Pick<Escapement, "query" | "openSystemClock">;
  /** A server to ask: servers.ts. */
  asked(name: ServerName): Promise<Asked>;
  /** Why a need is not met. */
  readonly lacks?: Partial<Record<Need, string>>;
  /** The stamps that this run is to have. */
  readonly stamps: "kernel" | "user";
  /** Whether a refused datagram is reported. */
  readonly reportsRefusal: boolean;
}

export interface Contract {
  readonly name: string;
  readonly needs?: readonly Need[];
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
