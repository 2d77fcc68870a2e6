// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One Roughtime server asked until it has answered validly: UDP at each of its addresses, then TCP, and so on round, with
 * the back-off of RFC 10049 §5. Earlier attempts go on listening; each has a nonce of its own.
 *
 * It settles exactly once; with that every socket and timer is gone. Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { endpointsOf } from "../client/resolve.ts";
import { formatEndpoint } from "../address.ts";
import { RoughtimeAttempt, type RoughtimeExchange, type Transport } from "./attempt.ts";
import { VERSIONS, drawNonce, type Drawn } from "./request.ts";

/** Where a server listens. */
export interface RoughtimeAddress {
  readonly protocol: Transport;
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A server, as a list has it. */
export interface RoughtimeServerEntry {
  /** For people. */
  readonly name: string;
  /** Its long-term key, 32 octets. */
  readonly publicKey: Uint8Array;
  readonly addresses: readonly RoughtimeAddress[];
}

export interface AskOptions {
  /** How long to wait in all, s. Default 5. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Only addresses of this family. */
  readonly family?: 4 | 6 | undefined;
  /** The response packet that this answer must prove to be younger than. */
  readonly after?: Uint8Array | undefined;
  /** Versions to offer. Default 1 and 0x8000000c. */
  readonly versions?: readonly number[] | undefined;
}

const DEFAULT_TIMEOUT = 5;
/** RFC 10049 §5: before the retry after n failures, min(1.5^(n-1), 86400) s. */
const BACKOFF_BASE = 1.5;
const LONGEST_WAIT = 86400;

interface Turn {
  readonly endpoint: Endpoint;
  readonly transport: Transport;
}

/**
 * Ask a server for a valid answer.
 *
 * @throws {NtpError} `TIMEOUT` when none came in time, `UNREACHABLE` when every address refused, `DNS`, `ABORTED`,
 * `UNSUPPORTED` where there is neither UDP nor TCP.
 */
export function askServer(host: Host, server: RoughtimeServerEntry, options: AskOptions = {}): Promise<RoughtimeExchange> {
  return new Asking(host, server, options).exchange;
}

class Asking {
  readonly exchange: Promise<RoughtimeExchange>;
  readonly #host: Host;
  readonly #server: RoughtimeServerEntry;
  readonly #options: AskOptions;
  readonly #settled = new AbortController();
  readonly #attempts: RoughtimeAttempt[] = [];
  readonly #refused = new Map<string, number>();
  #failures: string[] = [];
  #round: readonly Turn[] = [];
  #left: Turn[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resolve!: (exchange: RoughtimeExchange) => void;
  #reject!: (error: NtpError) => void;

  constructor(host: Host, server: RoughtimeServerEntry, options: AskOptions) {
    this.#host = host;
    this.#server = server;
    this.#options = options;
    this.exchange = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (options.signal?.aborted) this.#abort();
    else this.#start();
  }

  #start(): void {
    const { timeout = DEFAULT_TIMEOUT, signal } = this.#options;
    const deadline = setTimeout(() => this.#giveUp("TIMEOUT", `no valid answer from "${this.#server.name}" within ${timeout} s`), Math.round(timeout * 1000));
    const onAbort = () => this.#abort();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#settled.signal.addEventListener("abort", () => {
      clearTimeout(deadline);
      clearTimeout(this.#timer);
      signal?.removeEventListener("abort", onAbort);
      for (const attempt of this.#attempts) attempt.close();
    }, { once: true });
    this.#turns().then(
      (turns) => {
        this.#round = turns;
        this.#left = [...turns];
        this.#next();
      },
      (error: unknown) => this.#settle(() => this.#reject(error as NtpError)),
    );
  }

  /** All addresses over UDP, then all over TCP. */
  async #turns(): Promise<Turn[]> {
    const able = this.#server.addresses.filter(({ protocol }) => (protocol === "udp" ? this.#host.openUdp : this.#host.connectTcp) !== undefined);
    const { name } = this.#server;
    if (able.length === 0) throw new NtpError("UNSUPPORTED", `${this.#host.runtime} can reach none of the addresses of "${name}"`, { source: name });
    const textOf = ({ host, port }: { host: string; port: number }) => formatEndpoint({ address: host, port });
    const names = [...new Set(able.map(textOf))];
    const looked = new Map(await Promise.all(names.map(async (text) => {
      const { host, port } = able.find((address) => textOf(address) === text)!;
      const endpoints = await endpointsOf(this.#host, { text: name, scheme: "roughtime", host, port }, this.#options.family, this.#settled.signal);
      return [text, endpoints] as const;
    })));
    const over = (transport: Transport) => able.filter(({ protocol }) => protocol === transport)
      .flatMap((address) => looked.get(textOf(address))!.map((endpoint) => ({ endpoint, transport })));
    return [...over("udp"), ...over("tcp")];
  }

  /** The next address has its turn; after the last, the first again. */
  #next(): void {
    // MUST do nothing once settled: a resolver that cannot be cancelled comes back late.
    if (this.#settled.signal.aborted) return;
    clearTimeout(this.#timer);
    if (this.#left.length === 0) this.#left = [...this.#round];
    this.#ask(this.#left.shift()!);
    const wait = Math.min(BACKOFF_BASE ** (this.#attempts.length - 1), LONGEST_WAIT);
    this.#timer = setTimeout(() => this.#next(), wait * 1000);
  }

  #ask(turn: Turn): void {
    const { publicKey } = this.#server;
    const { after, versions = VERSIONS } = this.#options;
    const drawn: Drawn = drawNonce(this.#host, after);
    const attempt: RoughtimeAttempt = new RoughtimeAttempt({ host: this.#host, ...turn, publicKey, versions, drawn }, {
      onAnswer: (exchange) => this.#settle(() => this.#resolve(exchange)),
      onFailure: (error) => this.#onFailure(turn, error),
      onRefused: (why) => void this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1),
    });
    this.#attempts.push(attempt);
  }

  /** What cannot be reached costs no waiting, as long as there is another address in this round. */
  #onFailure({ endpoint, transport }: Turn, error: Error): void {
    this.#failures.push(`${formatEndpoint(endpoint)} over ${transport}: ${error.message}`);
    const firstRound = this.#attempts.length <= this.#round.length;
    if (firstRound && this.#failures.length === this.#round.length && this.#refused.size === 0) {
      return this.#giveUp("UNREACHABLE", `no Roughtime server can be reached at "${this.#server.name}"`);
    }
    if (firstRound && this.#left.length > 0) this.#next();
  }

  #abort(): void {
    const { name } = this.#server;
    this.#settle(() => this.#reject(new NtpError("ABORTED", `the request to "${name}" was aborted by its caller`, { source: name, cause: this.#options.signal?.reason })));
  }

  #giveUp(code: "TIMEOUT" | "UNREACHABLE", what: string): void {
    const failed = this.#failures.length > 0 ? `; failed ${[...new Set(this.#failures)].join(", ")}` : "";
    const refused = [...this.#refused].map(([why, times]) => `${times} × ${why}`).join(", ");
    const hint = code === "TIMEOUT" ? "; check the key, and that UDP or TCP to this port is let through" : "";
    const message = `${what}${failed}${refused && `; refused ${refused}`}${hint}`;
    this.#settle(() => this.#reject(new NtpError(code, message, { source: this.#server.name })));
  }

  #settle(how: () => void): void {
    if (this.#settled.signal.aborted) return;
    this.#settled.abort();
    how();
  }
}
