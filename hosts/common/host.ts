// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a runtime lends to escapement: a clock, names, randomness and datagrams. Nothing here knows the protocol.
 *
 * Each folder hosts/X implements these interfaces with equal file names (clock.ts, udp.ts, dns.ts); a capability that a
 * runtime lacks has no file. The contract is checked on every runtime by
 * tests/contract/contract.test.ts.
 *
 * @module
 */

import type { HostFiles } from "./files.ts";
import type { ServeThreads } from "./server/threads.ts";
import type { RefClockDevices } from "./refclock/devices.ts";
import type { HostSystemClock } from "./steering.ts";
import type { HostStreams } from "./stream.ts";
import type { HostWebSockets } from "./websocket.ts";

/** Who took a time stamp: the network card, the kernel as the datagram passed, or this process when it got round to it. */
export type StampSource = "hardware" | "kernel" | "user";

/** Network cards that are to stamp: interfaces by name, or all that can. */
export type StampingCards = true | string | readonly string[];

/** An IP address and a port. IPv6 addresses carry no brackets; a zone follows a `%`. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One address that a name resolves to. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** A reading clock of this host. */
export interface HostClock {
  /** Wall-clock time, nanoseconds since 1970-01-01T00:00:00Z, as fine as this runtime can tell. */
  now(): bigint;
  /** Monotonic time in nanoseconds from an arbitrary origin; never steps, may be slewed with the wall clock. */
  monotonic(): bigint;
  /** Measured precision of {@link HostClock.now} in seconds: the least step seen, or the cost of a reading if larger. */
  readonly precision: number;
  /** How the reading is made, for people: "clock_gettime (koffi)", "Date.now + performance.now". */
  readonly description: string;
}

/** A datagram that came. */
export interface Datagram {
  /** The payload; valid only until the handler returns. */
  readonly data: Uint8Array;
  /** Where it came from. v4-mapped IPv6 addresses are given in their IPv4 form. */
  readonly from: Endpoint;
  /** When it came: wall clock, ns since 1970. */
  readonly receivedNs: bigint;
  readonly stamp: StampSource;
}

/** When a datagram left. */
export interface SendStamp {
  /** Wall clock, ns since 1970. */
  readonly sentNs: bigint;
  readonly stamp: StampSource;
}

/** What a socket reports to its owner. Handlers never throw. */
export interface UdpHandlers {
  onDatagram(datagram: Datagram): void;
  /** An asynchronous error, for instance ECONNREFUSED of a connected socket. The socket stays open. */
  onError(error: Error): void;
}

export interface UdpOptions {
  readonly family: 4 | 6;
  /** Local address to bind; the wildcard of the family when absent. */
  readonly address?: string;
  /** Local port; 0 or absent for a fresh random one (RFC 9109). */
  readonly port?: number;
  /** Only exchange datagrams with this endpoint, so that refusals are reported where the runtime can. */
  readonly connect?: Endpoint;
  /** Refuse IPv4 on an IPv6 wildcard socket. Default true. */
  readonly ipv6Only?: boolean;
  /** Hear what is sent to this group, too, on the interface of this address (IPv6: of this name). A host that cannot says UNSUPPORTED. */
  readonly multicast?: { readonly group: string; readonly interface?: string };
  /** Allow sending to broadcast addresses. */
  readonly broadcast?: boolean;
  /** How many networks what is sent to a group may pass, 1..255. A host that cannot limit it says UNSUPPORTED. */
  readonly multicastHops?: number;
  /** Share the port with other listeners of broadcasts. */
  readonly reuseAddress?: boolean;
}

/** A bound UDP socket. */
export interface UdpSocket {
  readonly local: Endpoint;
  /** The best receive stamp that this socket can give. */
  readonly stamps: StampSource;
  /**
   * Send one datagram. The stamp is taken as late before the send as the runtime allows, or by the kernel.
   * `to` is required unless the socket is connected. Rejects with the runtime's error when the send fails.
   */
  send(data: Uint8Array, to?: Endpoint): Promise<SendStamp>;
  /** Idempotent. */
  close(): void;
}

export type OpenUdp = (options: UdpOptions, handlers: UdpHandlers, stamps?: StampSource) => Promise<UdpSocket>;

/** Everything a runtime lends. */
export interface Host extends HostStreams, HostWebSockets {
  readonly runtime: "node" | "deno" | "bun" | "browser" | "edge";
  readonly version: string;
  readonly clock: HostClock;
  /** Fill with cryptographically strong random octets and return the same array. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
  /** Serial lines and the like, for reference clocks. */
  readonly devices?: RefClockDevices;
  /** All addresses of a name, in the resolver's order. Absent where there are no names. */
  resolve?(name: string, signal?: AbortSignal): Promise<ResolvedAddress[]>;
  /**
   * Open a socket. Absent where there is no UDP. `stamps: "kernel"` asks for kernel time stamps where the host can;
   * the socket's own `stamps` says what it got.
   */
  openUdp?: OpenUdp;
  /**
   * Switch the stamps of network cards on, for everybody on this machine, and open sockets that use them where kernel stamps
   * are asked for. What a card cannot, and each stamp that is refused, falls back to the kernel's; `tell` is told why, once
   * for each reason. Absent where cards cannot be asked.
   */
  stampByCards?(cards: StampingCards, tell: (reason: string) => void): OpenUdp;
  /** The system's clock, to be steered and to be asked what the system makes of it. Absent where there is no way to it at all. */
  systemClock?(): Promise<HostSystemClock>;
  /** Files. Absent where there are none. */
  readonly files?: HostFiles;
  /** Threads for a server. Absent where there are none, or where the code of a thread is not at hand (not built, bundled). */
  readonly serveThreads?: ServeThreads;
  /** Answer HTTP requests that read. Rejects with the runtime's error when the port cannot be had. */
  listenHttp?(endpoint: Endpoint, answer: AnswerHttp): Promise<HttpListener>;
}

/** What is answered to a path without its query; `host` is what the client believes to have reached, "127.0.0.1:8123". */
export type AnswerHttp = (path: string, host: string | undefined) => HttpAnswer | Promise<HttpAnswer>;

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Beside those about type, length and connection. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpListener {
  readonly local: Endpoint;
  close(): Promise<void>;
}
