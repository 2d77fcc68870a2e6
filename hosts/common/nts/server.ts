// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A key establishment server (RFC 8915 §4) over the runtime's TLS.
 *
 * One request, one answer, and the connection ends. Everything that a stranger can make it do is limited: connections in all
 * and of one address, how often an address may come (before the handshake, which is what costs), time, octets, records. What
 * goes wrong is counted, never logged. Tested in server.test.ts, and in tests/interop/nts-ke.test.ts with chronyd.
 *
 * @module
 */

import { writeKeMessage } from "../core/cold.ts";
import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { TlsListener, TlsStream } from "../stream.ts";
import { answerTo, type AnswerOptions, type CookieJar, type Outcome } from "./answer.ts";
import { checkedServers, type NtpServer } from "./direct.ts";
import { AddressBuckets, addressGroup, type BucketOptions } from "./limiter.ts";
import { receiveKeMessage } from "./receive.ts";
import { DEFAULT_AEADS, KE_ALPN, KE_PORT, NTPV4, checkedAeads } from "./records.ts";

export interface KeServerOptions {
  /** Certificate chain, leaf first, and its private key, PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Makes the cookies, under the keys that the NTP servers have. */
  readonly jar: CookieJar;
  /** Addresses to bind. Default: the IPv4 and the IPv6 wildcard. */
  readonly listen?: readonly string[] | undefined;
  /** TCP port, 0 for any free one. Default 4460. */
  readonly port?: number | undefined;
  /** Protocols, the preferred one first. Default NTPv4 alone. */
  readonly protocols?: readonly number[] | undefined;
  /** The drafts of NTPv5 that protocol 0x8001 may mean, "draft-ietf-ntp-ntpv5-08"; clients of another one get another protocol. */
  readonly drafts?: readonly string[] | undefined;
  /** AEAD algorithms, the preferred one first. Default 30, 15, 17, 16. */
  readonly aeads?: readonly number[] | undefined;
  /** NTP servers to send clients to, by weight. Default: the address that they came to, port 123. */
  readonly servers?: readonly NtpServer[] | undefined;
  readonly limits?: Partial<KeServerLimits> | undefined;
  /** From 0 up to 1, for the choice of an NTP server. */
  readonly random?: (() => number) | undefined;
  /** Lines in the NSS key log format. Secrets! */
  readonly keyLog?: ((line: string) => void) | undefined;
}

export interface KeServerLimits {
  /** Connections at one time, on each address listened on. Default 256. */
  readonly connections: number;
  /** Of them, of one IPv4 address or one IPv6 /64. Default 16. */
  readonly connectionsOfAddress: number;
  /** s for a handshake, and again for request and answer. Default 5. */
  readonly timeout: number;
  /** How often an address may come. Default: 32 at once, 1 a second; a network behind one address needs that many. */
  readonly rate: BucketOptions;
}

const LIMITS: KeServerLimits = { connections: 256, connectionsOfAddress: 16, timeout: 5, rate: { rate: 1, burst: 32, entries: 8192 } };
/** A request is of some 40 octets, in five records; chrony takes no more than 16 KiB. */
const REQUEST_LIMITS = { octets: 4096, records: 32 } as const;
const DEFAULT_LISTEN = ["0.0.0.0", "::"] as const;

/** What the server has seen since its start. */
export interface KeServerStats extends Readonly<Record<Outcome, number>> {
  /** Connections that got through their handshake. */
  readonly accepted: number;
  /** Connections closed before their handshake: too many, or too often. */
  readonly refused: number;
  /** Handshakes that failed: no common protocol, TLS before 1.3, not TLS at all. */
  readonly handshakesFailed: number;
  /** Those that took too long over their request. */
  readonly late: number;
  /** Those that left before their request was whole, or their answer written. */
  readonly gone: number;
}

export interface KeServer extends AsyncDisposable {
  readonly addresses: readonly Endpoint[];
  readonly stats: KeServerStats;
  /** Use another certificate from the next handshake on; connections go on. @throws {NtpError} `INVALID_ARGUMENT`, and keeps the old. */
  renew(certificate: string, key: string): void;
  /** Stop listening and end all connections; idempotent. */
  close(): Promise<void>;
}

/** @throws {NtpError} `UNSUPPORTED` where keys cannot be established as a server. */
export function requireKeServer(host: Host): void {
  if (host.listenTls) return;
  const why = host.runtime === "deno" ? "the TLS of Deno has no exporter (RFC 8446 §7.5), from which NTS takes its keys" : `${host.runtime} has no TLS server`;
  throw new NtpError("UNSUPPORTED", `cannot serve NTS key establishment here: ${why}; run it on Node or Bun`);
}

/** @throws {NtpError} `UNSUPPORTED`, `SOCKET`, `INVALID_ARGUMENT`. */
export async function serveKe(host: Host, options: KeServerOptions): Promise<KeServer> {
  requireKeServer(host);
  const server = new RunningKeServer(host, options);
  await server.listen(options.listen ?? DEFAULT_LISTEN, options.port ?? KE_PORT, options.listen === undefined);
  return server;
}

class RunningKeServer implements KeServer {
  readonly #host: Host;
  readonly #options: KeServerOptions;
  readonly #answers: AnswerOptions;
  readonly #limits: KeServerLimits;
  readonly #buckets: AddressBuckets;
  readonly #listeners: TlsListener[] = [];
  readonly #ofAddress = new Map<string, number>();
  readonly #counts = { accepted: 0, refused: 0, late: 0, gone: 0, served: 0, nothingInCommon: 0, unknownCritical: 0, badRequest: 0, internalError: 0 };
  #certificate: readonly [certificate: string, key: string];

  constructor(host: Host, options: KeServerOptions) {
    const { protocols = [NTPV4], aeads = DEFAULT_AEADS, servers = [{}], drafts, jar, random = Math.random, certificate, key } = options;
    this.#host = host;
    this.#options = options;
    this.#answers = { protocols, drafts, aeads: checkedAeads(aeads), servers: checkedServers(servers), jar, random };
    this.#limits = { ...LIMITS, ...options.limits };
    this.#buckets = new AddressBuckets(this.#limits.rate, () => Number(host.clock.monotonic() / 1_000_000n));
    this.#certificate = [certificate, key];
  }

  get addresses(): Endpoint[] {
    return this.#listeners.map(({ local }) => local);
  }

  get stats(): KeServerStats {
    const sum = (of: (listener: TlsListener) => number) => this.#listeners.reduce((total, listener) => total + of(listener), 0);
    return { ...this.#counts, refused: this.#counts.refused + sum(({ refused }) => refused), handshakesFailed: sum(({ failed }) => failed) };
  }

  /** `lenient`: a family that this host lacks is left out, as long as one remains. */
  async listen(addresses: readonly string[], port: number, lenient: boolean): Promise<void> {
    let failure: unknown;
    for (const address of addresses) {
      try {
        // All on one port, which the first may have been given by the system.
        this.#listeners.push(await this.#listen({ address, port: this.#listeners[0]?.local.port ?? port }));
      } catch (error) {
        failure = error;
        if (lenient && isMissingFamily(error)) continue;
        await this.close();
        throw error;
      }
    }
    if (this.#listeners.length === 0) throw failure ?? new NtpError("INVALID_ARGUMENT", "expected at least one address to listen on, got none");
  }

  #listen(endpoint: Endpoint): Promise<TlsListener> {
    const [certificate, key] = this.#certificate;
    const { connections: maxConnections, timeout } = this.#limits;
    const { keyLog } = this.#options;
    return this.#host.listenTls!(
      { endpoint, certificate, key, alpn: [KE_ALPN], maxConnections, handshakeTimeout: timeout * 1000, admit: (address) => this.#buckets.take(address), keyLog },
      (stream, from) => void this.#accept(stream, from),
    );
  }

  async #accept(stream: TlsStream, from: Endpoint): Promise<void> {
    const group = addressGroup(from.address);
    const others = this.#ofAddress.get(group) ?? 0;
    if (others >= this.#limits.connectionsOfAddress) {
      this.#counts.refused += 1;
      stream.close();
      return;
    }
    this.#ofAddress.set(group, others + 1);
    this.#counts.accepted += 1;
    try {
      this.#counts[await this.#converse(stream, from)] += 1;
    } finally {
      stream.close();
      const left = (this.#ofAddress.get(group) ?? 1) - 1;
      if (left > 0) this.#ofAddress.set(group, left);
      else this.#ofAddress.delete(group);
    }
  }

  /** Request and answer; how it ended. Never rejects. */
  async #converse(stream: TlsStream, from: Endpoint): Promise<Outcome | "late" | "gone"> {
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      stream.close();
    }, this.#limits.timeout * 1000);
    try {
      const received = await receiveKeMessage(stream, REQUEST_LIMITS);
      if ("ended" in received) return late ? "late" : "gone";
      const { records, outcome } = await answerTo(received, stream, from.address, this.#answers);
      await stream.write(writeKeMessage(records));
      return outcome;
    } catch {
      return late ? "late" : "gone";
    } finally {
      clearTimeout(deadline);
    }
  }

  renew(certificate: string, key: string): void {
    // The first one to be asked refuses what does not fit together, before any has changed.
    for (const listener of this.#listeners) listener.renew(certificate, key);
    this.#certificate = [certificate, key];
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isMissingFamily(error: unknown): boolean {
  const code = ((error as { cause?: unknown } | undefined)?.cause as { code?: unknown } | undefined)?.code;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}
