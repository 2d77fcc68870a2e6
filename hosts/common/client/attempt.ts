// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One request to one address, until an answer to it comes or the caller has enough.
 *
 * The socket lives as long as the attempt: a fresh random port each time (RFC 9109). Datagrams that are no answer to this very
 * request, whoever sent them, change nothing but a counter.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, Host, SendStamp, UdpSocket } from "../host.ts";
import type { Claim, Completion, ExchangeCore, Request } from "./exchange.ts";
import { sameAddress } from "../address.ts";
import type { Authentication } from "./authentication.ts";
import { EarlyDatagrams } from "./early.ts";
import { testNames } from "./problems.ts";
import type { Sample } from "./sample.ts";
import type { NtpVersion } from "./version.ts";

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: "sample"; readonly sample: Sample; readonly completable: Completable }
  /** The address cannot be reached or asked; the error says why. */
  | { readonly kind: "failed"; readonly error: Error };

/** What of an exchange a later one can complete in interleaved mode. */
export type Completable = Omit<Completion, "echo">;

export interface AttemptOptions {
  readonly host: Host;
  readonly core: ExchangeCore;
  readonly source: string;
  readonly endpoint: Endpoint;
  readonly version: NtpVersion;
  /** NTPv5: which draft to name. */
  readonly draft?: number;
  readonly interleaved?: boolean;
  readonly fineRoot: boolean;
  /** Ask in interleaved mode, to complete this exchange. */
  readonly completing?: Completable | undefined;
  /** Believe nothing that this does not vouch for. */
  readonly authentication?: Authentication | undefined;
}

export class Attempt {
  /** Resolves once; never rejects. Pending for as long as nothing useful comes. */
  readonly outcome: Promise<Outcome>;
  /** Datagrams passed over, by the tests they failed. */
  readonly ignored = new Map<string, number>();
  readonly endpoint: Endpoint;
  readonly #options: AttemptOptions;
  readonly #early = new EarlyDatagrams();
  #request: Request;
  #claim: Claim | undefined;
  /** When the request was handed to the socket, by `performance.now()`. */
  #askedAt: number | undefined;
  #sent: SendStamp | undefined;
  #socket: UdpSocket | undefined;
  #settle!: (outcome: Outcome) => void;
  #closed = false;
  #refused = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    const { version, draft = 0, interleaved = false, fineRoot, completing, host } = options;
    const origin = randomOrigin(host);
    this.#request = { version, draft, interleaved, details: version === 5, fineRoot, origin, ...(completing ? { completing: { ...completing, echo: otherThan(origin, host) } } : {}) };
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
    void this.#start().catch((error: unknown) => this.#fail(error));
  }

  /** How long ago the request was sent, ms; 0 before. */
  get silence(): number {
    return this.#askedAt === undefined ? 0 : performance.now() - this.#askedAt;
  }

  /** Somebody says, unproven, that the server cannot open our cookie. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Stop listening. The outcome may stay pending. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#socket?.close();
    if (this.#claim) this.#options.core.release(this.#claim);
    this.#claim = undefined;
  }

  async #start(): Promise<void> {
    const { host, endpoint } = this.#options;
    if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets`);
    const socket = await host.openUdp(
      { family: endpoint.address.includes(":") ? 6 : 4, connect: endpoint },
      { onDatagram: (datagram) => this.#onDatagram(datagram), onError: (error) => this.#fail(error) },
      "kernel",
    );
    this.#socket = socket;
    if (this.#closed) return socket.close();
    this.#askedAt = performance.now();
    const sent = await socket.send(this.#packet(), endpoint);
    this.#sent = sent;
    this.#early.release((datagram) => this.#judge(datagram, sent));
  }

  /** The request, made when nothing but the send is left to do. */
  #packet(): Uint8Array {
    const { core, host, authentication } = this.#options;
    if (authentication) this.#claim = core.claim(authentication);
    this.#request = { ...this.#request, claim: this.#claim };
    return core.request(this.#request, (bytes) => host.random(bytes));
  }

  #onDatagram(datagram: Datagram): void {
    if (this.#closed) return;
    if (this.#sent) return this.#judge(datagram, this.#sent);
    this.#early.hold(datagram);
  }

  #judge(datagram: Datagram, sent: SendStamp): void {
    const { host, core, endpoint, source } = this.#options;
    const { from } = datagram;
    // MUST hold even where the kernel filters for us: not every runtime can connect a UDP socket.
    if (from.port !== endpoint.port || !sameAddress(from.address, endpoint.address)) return this.#ignore("testF");
    const stamps = { sentNs: sent.sentNs, t1: sent.stamp, receivedNs: datagram.receivedNs, t4: datagram.stamp };
    const verdict = core.reply(datagram.data, this.#request, stamps, { source, from, precision: host.clock.precision });
    if (verdict.kind === "ignored") {
      this.#refused ||= this.#claim !== undefined && core.isRefused(this.#claim);
      return this.#ignore(this.#refused ? "NTSN" : testNames(verdict.problemBits).join(" "));
    }
    const { sample, receive, cookie } = verdict;
    this.#settle({ kind: "sample", sample, completable: { stamps: verdict.stamps, receive, cookie } });
    this.close();
  }

  #ignore(why: string): void {
    this.ignored.set(why, (this.ignored.get(why) ?? 0) + 1);
  }

  #fail(error: unknown): void {
    this.#settle({ kind: "failed", error: error instanceof Error ? error : new Error(String(error)) });
    this.close();
  }
}

/** 64 random bits that are not zero: zero would mean "no timestamp". */
function randomOrigin(host: Host): bigint {
  const bytes = host.random(new Uint8Array(8));
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) || 1n;
}

/** The same, but not that one. */
function otherThan(origin: bigint, host: Host): bigint {
  const other = randomOrigin(host);
  return other === origin ? otherThan(origin, host) : other;
}
