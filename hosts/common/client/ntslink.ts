// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A source's link to its key establishment: one at a time, and after failures less and less often (RFC 8915 §4.2).
 *
 * A server that has lost its keys answers with NTSN, which nobody can sign. So keys that brought no authentic answer count as
 * a failure, too: who forges such answers makes us ask for keys no more often than any other failure does. Tested in
 * ntslink.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { Backoff } from "../nts/backoff.ts";
import { withOtherKeys, type Established, type Establish } from "./keyring.ts";

export type LinkResult =
  | { readonly kind: "established"; readonly keys: Established }
  | { readonly kind: "failed"; readonly error: Error; /** s */ readonly retryAfter: number }
  /** One is under way. */
  | { readonly kind: "busy" };

export class NtsLink {
  readonly #establish: Establish;
  /** Monotonic, s. */
  readonly #now: () => number;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #busy = false;
  /** Before this no other attempt is made. */
  #notBefore = -Infinity;
  /** What the server may have meant instead by the keys given last. */
  #other: Established | undefined;
  /** The keys given last were for NTPv5, and nothing has come of them yet. */
  #doubtful = false;

  constructor(establish: Establish, now: () => number, backoff = new Backoff()) {
    this.#establish = establish;
    this.#now = now;
    this.#backoff = backoff;
  }

  /** Never rejects. */
  async establish(): Promise<LinkResult> {
    if (this.#busy) return { kind: "busy" };
    const other = this.#other;
    this.#other = undefined;
    if (other) return { kind: "established", keys: other };
    const wait = this.#notBefore - this.#now();
    if (wait > 0) return { kind: "failed", error: unproven(), retryAfter: wait };
    return this.#attempt();
  }

  async #attempt(): Promise<LinkResult> {
    const wait = this.#backoff.attempted();
    this.#notBefore = this.#now() + wait;
    this.#busy = true;
    try {
      const keys = await this.#establish(this.#closing.signal, this.#doubtful);
      this.#doubtful = keys.version === 5;
      // The first cookie is spent on the keys themselves.
      this.#other = withOtherKeys({ ...keys, cookies: keys.cookies.slice(1) });
      return { kind: "established", keys };
    } catch (error) {
      return { kind: "failed", error: error as Error, retryAfter: wait };
    } finally {
      this.#busy = false;
    }
  }

  /** The keys were good for an authentic answer. */
  proven(): void {
    this.#other = undefined;
    this.#doubtful = false;
    this.#notBefore = -Infinity;
    this.#backoff.worked();
  }

  close(): void {
    this.#closing.abort();
  }
}

function unproven(): NtpError {
  return new NtpError("NTS_KE", "expected an authentic answer with the keys that the server gave, got none; asking it for others later");
}
