// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTS keys of one `nts:` source for one-shot requests: established when first needed, then used until the cookies are gone.
 *
 * There is no way from here to a request without keys. Tested in query.test.ts and tests/interop.
 *
 * @module
 */

import type { Host } from "../host.ts";
import type { NtsOptions } from "../nts/options.ts";
import type { NtsKeys } from "./authentication.ts";
import type { Family } from "./resolve.ts";
import type { Source } from "./source.ts";

/** What key establishment gives: keys, cookies, and where to ask. */
export interface Established extends NtsKeys {
  readonly host: string;
  readonly port: number;
  /** What the server may mean instead by AEAD 30 (hosts/common/nts/exporter.ts); to be tried once, after an NTSN. */
  readonly otherKeys?: Pick<NtsKeys, "c2s" | "s2c">;
}

/** The other keys, where there are any, with the cookies left. */
export function withOtherKeys({ otherKeys, ...established }: Established): Established | undefined {
  return otherKeys && { ...established, ...otherKeys };
}

/** Establish keys with a source, or say why not. */
export type Establish = (signal: AbortSignal) => Promise<Established>;

/**
 * How to establish keys with a source; the code is loaded when needed, as most programs never do. `synchronised`: whether the
 * clock has been compared with others, for {@link NtsOptions.certTime}.
 */
export function keyEstablishment(host: Host, source: Source, options: NtsOptions & { family?: Family | undefined }, synchronised = () => false): Establish {
  const { certTime = "system", ...asked } = options;
  return async (signal) => {
    const [{ establishKeys }, { certificateTime }] = await Promise.all([import("../nts/client.ts"), import("../nts/certtime.ts")]);
    const time = certificateTime(certTime, { synchronised: synchronised() });
    const { cookies, ...keys } = await establishKeys(host, { ...asked, time, signal, host: source.host, kePort: source.port, source: source.text });
    return { ...keys, cookies: [...cookies] };
  };
}

export class KeyRing {
  readonly #source: Source;
  readonly #establish: Establish;
  #established: Established | undefined;

  constructor(source: Source, establish: Establish) {
    this.#source = source;
    this.#establish = establish;
  }

  /** Where to ask, once there is a cookie to ask with. @throws {NtpError} `NTS_KE`, `TLS`, `UNREACHABLE`… */
  async target(signal: AbortSignal): Promise<Source> {
    if (!this.#established?.cookies.length) this.#established = await this.#establish(signal);
    const { host, port } = this.#established;
    return { ...this.#source, host, port };
  }

  /** The server could not open a cookie: try the other keys, where there are any. */
  refused(): void {
    if (this.#established) this.#established = withOtherKeys(this.#established) ?? this.#established;
  }

  /** The keys established last; MUST only be asked for after {@link target}. */
  get keys(): Established {
    if (!this.#established) throw new Error("keys before a target");
    return this.#established;
  }
}
