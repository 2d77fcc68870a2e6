// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS beside a running server (RFC 8915): key establishment in this thread, and cookie keys that the server's threads have
 * before anybody is given a cookie under them.
 *
 *   key store ─▶ ring ─▶ threads hold the keys ─▶ the jar of key establishment seals with them
 *
 * A store that fails later changes nothing but is told of; a certificate that does not fit its key is passed over. Without
 * keys, or where the runtime has no TLS server, nothing starts. Tested in tests/server/features.test.ts, with other programs in
 * tests/interop/nts-server.test.ts.
 *
 * @module
 */

import { drafts } from "../client/version.ts";
import { Core } from "../core/core.ts";
import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { readCertificate, watchCertificate, type CertificateFiles } from "../nts/certfiles.ts";
import type { NtpServer } from "../nts/direct.ts";
import { checkedRotation, type Rotation } from "../nts/generations.ts";
import { CookieKeyRing, type CookieKeys } from "../nts/keys.ts";
import { NTPV4, NTPV5_DRAFT } from "../nts/records.ts";
import { serveKe, type KeServer, type KeServerLimits, type KeServerStats } from "../nts/server.ts";
import { derivedKeys, fileKeys, memoryKeys, type KeyStore } from "../nts/stores.ts";
import { NtsCookies, type CookieKeySet } from "./ntscookies.ts";

/** Option `nts` of {@link serve}. */
export interface NtsServeOptions {
  /** Certificate chain, leaf first, and its private key, PEM. */
  readonly certificate?: string;
  readonly key?: string;
  /** Instead of them the files that they are in; a changed pair is used from the next handshake on. */
  readonly certificateFiles?: CertificateFiles;
  /** Addresses for key establishment. Default those of the server. */
  readonly listen?: readonly string[];
  /** TCP port, 0 for any free one. Default 4460. */
  readonly port?: number;
  /** NTP servers to send clients to, by weight. Default this one. */
  readonly servers?: readonly NtpServer[];
  /** AEAD algorithms, the preferred one first. Default 30, 15, 17, 16. */
  readonly aeads?: readonly number[];
  /**
   * Where cookie keys are kept: the path of a file; a secret of at least 32 octets that a fleet shares; a store of the
   * caller's. Default in memory: after a restart clients establish keys anew.
   */
  readonly store?: KeyStore | string | Uint8Array;
  /** Default a key a day, which opens cookies for six days more. */
  readonly rotation?: Partial<Rotation>;
  readonly limits?: Partial<KeServerLimits>;
  /** Lines in the NSS key log format. Secrets! */
  readonly keyLog?: (line: string) => void;
}

/** NTS of a running server. */
export interface ServedNts {
  /** Where keys are established. */
  readonly addresses: readonly Endpoint[];
  readonly stats: KeServerStats;
  /** Use another certificate from the next handshake on. @throws {NtpError} `INVALID_ARGUMENT`, and keeps the old. */
  renew(certificate: string, key: string): void;
}

export type NtsTrouble = (kind: "keys-failed" | "certificate-failed", message: string) => void;

/** What key establishment is for. */
export interface Established {
  /** Of the NTP server. */
  readonly port: number;
  readonly listen: readonly string[] | undefined;
  /** Resolves once all threads hold them. */
  hold(keys: CookieKeySet): Promise<void>;
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The keys of cookies, from their store; before anything is bound. */
export class NtsKeeper {
  readonly #host: Host;
  readonly #options: NtsServeOptions;
  readonly #trouble: NtsTrouble;
  readonly #jar: NtsCookies;
  #ring: CookieKeyRing | undefined;
  #held: Promise<void> = Promise.resolve();
  #hold: Established["hold"] | undefined;
  #ke: KeServer | undefined;
  #unwatch: () => void = () => {};

  private constructor(host: Host, options: NtsServeOptions, trouble: NtsTrouble) {
    this.#host = host;
    this.#options = options;
    this.#trouble = trouble;
    this.#jar = new NtsCookies(new Core(), host.random);
  }

  /** Rejects when the store cannot give keys. @throws {NtpError} `INVALID_ARGUMENT` */
  static async open(host: Host, options: NtsServeOptions, trouble: NtsTrouble): Promise<NtsKeeper> {
    const keeper = new NtsKeeper(host, options, trouble);
    const ring = await CookieKeyRing.open(storeOf(host, options), {
      rotation: checkedRotation(options.rotation),
      now: () => Number(host.clock.now() / 1_000_000n),
      onChange: (keys) => keeper.#pass(keySet(keys)),
      onTrouble: (error) => trouble("keys-failed", textOf(error)),
    });
    keeper.#ring = ring;
    return keeper;
  }

  /** Those of now. */
  get keys(): CookieKeySet {
    return keySet(this.#ring!.keys);
  }

  /** Establish keys for a server that has {@link keys}. @throws {NtpError} `SOCKET`, `INVALID_ARGUMENT` */
  async start({ port, listen, hold }: Established): Promise<ServedNts> {
    const { certificateFiles, limits, keyLog, aeads, rotation: _, store: __, ...options } = this.#options;
    const pair = certificateFiles ? await readCertificate(filesOf(this.#host), certificateFiles) : { certificate: options.certificate!, key: options.key! };
    this.#hold = hold;
    // Once more: they may have changed since the server was given them.
    this.#pass(this.keys);
    await this.#held;
    const protocols = { protocols: [NTPV5_DRAFT, NTPV4], drafts: drafts() };
    this.#ke = await serveKe(this.#host, { ...pair, ...protocols, jar: this.#jar, listen: options.listen ?? listen, port: options.port, servers: options.servers ?? [{ port }], aeads, limits, keyLog });
    if (certificateFiles) this.#watch(certificateFiles, this.#ke);
    const ke = this.#ke;
    return {
      addresses: ke.addresses,
      get stats() {
        return ke.stats;
      },
      renew: (certificate, key) => ke.renew(certificate, key),
    };
  }

  #watch(files: CertificateFiles, ke: KeServer): void {
    this.#unwatch = watchCertificate(filesOf(this.#host), files, {
      renew: ({ certificate, key }) => ke.renew(certificate, key),
      report: (error) => error !== undefined && this.#trouble("certificate-failed", textOf(error)),
    });
  }

  /** Threads first, one set after the other: a cookie MUST NOT be out before all who may be asked with it can open it. */
  #pass(keys: CookieKeySet): void {
    // Copies, as the ring overwrites what it no longer keeps.
    const copy = { ...keys, generations: keys.generations.map(({ id, key }) => ({ id, key: key.slice() })) };
    this.#held = this.#held.then(async () => {
      await this.#hold?.(copy);
      this.#jar.setKeys(copy.generations, copy.current);
    }).catch((error: unknown) => this.#trouble("keys-failed", textOf(error)));
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#ring?.close();
    await this.#ke?.close();
  }
}

function keySet({ current, all }: CookieKeys): CookieKeySet {
  return { generations: all.map(({ id, key }) => ({ id, key })), current: current.id };
}

function filesOf(host: Host) {
  if (!host.files) throw new NtpError("UNSUPPORTED", `${host.runtime} lends no files; give the certificate and the key as text, and a store`);
  return host.files;
}

function storeOf(host: Host, { store }: NtsServeOptions): KeyStore {
  if (store === undefined) return memoryKeys(host.random);
  if (typeof store === "string") return fileKeys(filesOf(host), store, host.random);
  return store instanceof Uint8Array ? derivedKeys(store) : store;
}

/** Before anything starts. @throws {NtpError} `INVALID_ARGUMENT` */
export function checkNts({ certificate, key, certificateFiles }: NtsServeOptions): void {
  if (certificateFiles ? certificate === undefined && key === undefined : certificate !== undefined && key !== undefined) return;
  throw new NtpError("INVALID_ARGUMENT", "expected nts.certificate and nts.key, or nts.certificateFiles instead of both");
}
