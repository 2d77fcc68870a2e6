// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTS keys of one `nts:` source for one-shot requests: established when first needed, then used until the cookies are gone.
 *
 * There is no way from here to a request without keys. Tested in tests/interop/nts-client.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";
import type { NtsOptions } from "../nts/options.ts";
import type { NtsKeys } from "./authentication.ts";
import type { Family } from "./resolve.ts";
import type { TlsOver } from "../nts/connect.ts";
import type { connectTls } from "../tls/connect.ts";
import { NtpError } from "../errors.ts";
import { quorumServers } from "../nts/quorumservers.ts";
import type { KnownTime } from "../nts/certtime.ts";
import type { Source } from "./source.ts";
import { drafts, type SourceVersion } from "./version.ts";

/** What key establishment gives: keys, cookies, and where to ask. */
export interface Established extends NtsKeys {
  readonly host: string;
  readonly port: number;
  /** What the server may mean instead by AEAD 30 (hosts/common/nts/exporter.ts); to be tried once, after an NTSN. */
  readonly otherKeys?: Pick<NtsKeys, "c2s" | "s2c">;
  /** What they are for: version 4 where absent; and the draft of version 5, by its place in the list. */
  readonly version?: 4 | 5;
  readonly draft?: number;
}

/** The other keys, where there are any, with the cookies left. */
export function withOtherKeys({ otherKeys, ...established }: Established): Established | undefined {
  return otherKeys && { ...established, ...otherKeys };
}

/** Establish keys with a source, or say why not. `old`: where there is a choice, for version 4. */
export type Establish = (signal: AbortSignal, old?: boolean) => Promise<Established>;

/**
 * How to establish keys with a source; the code is loaded when needed, as most programs never do. `clock`: what is known of
 * the clock that follows the source, for {@link NtsOptions.certTime}. @throws {NtpError} `INVALID_ARGUMENT`
 */
export function keyEstablishment(host: Host, source: Source, options: NtsOptions & { family?: Family | undefined; version?: SourceVersion | undefined }, clock = unsynchronised): Establish {
  const { certTime = "system", roughtime = [], savedMs, version = 4, ...asked } = options;
  const servers = certTime === "roughtime" ? quorumServers(roughtime) : [];
  return async (signal, old = false) => {
    const [{ establishKeys }, { certificateTime }] = await Promise.all([import("../nts/client.ts"), import("../nts/certtime.ts")]);
    const known = clock();
    const roughtimeMs = certTime === "roughtime" && !known.synchronised ? await (await import("../nts/quorumtime.ts")).quorumTime(host, servers, signal) : undefined;
    const time = certificateTime(certTime, { ...known, roughtimeMs, savedMs, hostMs: msOf(host.clock.now()) });
    const tls = async () => ownTls(host, (await import("../tls/connect.ts")).connectTls);
    const request = { ...asked, time, tls, signal, host: source.host, kePort: source.port, source: source.text };
    let refusal: unknown;
    for (const { draft, name, protocols } of offers(version, old)) {
      try {
        const { cookies, ...keys } = await establishKeys(host, { ...request, protocols, draft: name });
        return { ...keys, cookies: [...cookies], ...(keys.protocol === NTPV5_DRAFT ? { version: 5 as const, draft } : {}) };
      } catch (error) {
        // What the server has against one draft it need not have against the next.
        if (!(error instanceof NtpError && error.code === "NTS_KE")) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  };
}

/** Who asks once has no clock that follows anybody. */
const unsynchronised = (): Pick<KnownTime, "synchronised" | "clockMs"> => ({ synchronised: false });

const NTPV4 = 0;
const NTPV5_DRAFT = 0x8001;

/** What to ask for, one after the other until the server agrees: one request names one draft. */
function offers(version: SourceVersion, old: boolean): { protocols?: number[]; draft: number; name?: string }[] {
  const plain = { draft: 0 };
  if (version === 4 || version === 3 || (version === "auto" && old)) return [plain];
  const protocols = version === 5 ? [NTPV5_DRAFT] : [NTPV5_DRAFT, NTPV4];
  const newer = drafts().map((name, draft) => ({ protocols, draft, name }));
  return version === 5 ? newer : [...newer, plain];
}

/** escapement's own TLS, with what it needs of the host. */
function ownTls(host: Host, connect: typeof connectTls): TlsOver {
  return (tcp, options) => connect(tcp, options, (bytes) => host.random(bytes), () => msOf(host.clock.now()));
}

function msOf(ns: bigint): number {
  return Number(ns / 1_000_000n);
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
