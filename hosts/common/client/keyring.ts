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
import type { TlsOver } from "../nts/connect.ts";
import type { connectTls } from "../tls/connect.ts";
import { parseSource, type Source } from "./source.ts";

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
  const { certTime = "system", roughtime = [], ...asked } = options;
  return async (signal) => {
    const [{ establishKeys }, { certificateTime }] = await Promise.all([import("../nts/client.ts"), import("../nts/certtime.ts")]);
    const known = { synchronised: synchronised() };
    const roughtimeMs = certTime === "roughtime" && !known.synchronised ? await timeByRoughtime(host, roughtime, signal) : undefined;
    const time = certificateTime(certTime, { ...known, roughtimeMs });
    const tls = async () => ownTls(host, (await import("../tls/connect.ts")).connectTls);
    const { cookies, ...keys } = await establishKeys(host, { ...asked, time, tls, signal, host: source.host, kePort: source.port, source: source.text });
    return { ...keys, cookies: [...cookies] };
  };
}

/** escapement's own TLS, with what it needs of the host. */
function ownTls(host: Host, connect: typeof connectTls): TlsOver {
  return (tcp, options) => connect(tcp, options, (bytes) => host.random(bytes), () => Number(host.clock.now() / 1_000_000n));
}

/** The middle of the bounds that a majority of Roughtime servers agrees on, ms since 1970. */
async function timeByRoughtime(host: Host, sources: readonly string[], signal: AbortSignal): Promise<number> {
  const { bootstrapTime } = await import("../roughtime/bootstrap.ts");
  const servers = sources.map((text) => {
    const { host: name, port, publicKey = new Uint8Array(0) } = parseSource(text, { roughtime: true });
    return { name: text, publicKey, addresses: [{ protocol: "udp" as const, host: name, port }, { protocol: "tcp" as const, host: name, port }] };
  });
  const { low, high } = await bootstrapTime(host, servers, { signal });
  return (low + high) / 2;
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
