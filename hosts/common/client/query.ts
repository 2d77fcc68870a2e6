// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source asked once: what the caller may ask for, checked, and then an {@link Inquiry}. Tested in query.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { NtsOptions } from "../nts/options.ts";
import type { RelayChoice } from "../relay/by.ts";
import type { CardOptions } from "./cards.ts";
import { Inquiry } from "./inquiry.ts";
import { KeyRing, keyEstablishment } from "./keyring.ts";
import { checkedKey, type SymmetricKey } from "./keys.ts";
import type { Family } from "./resolve.ts";
import type { Sample } from "./sample.ts";
import { parseSource } from "./source.ts";
import type { NtpVersion } from "./version.ts";

export interface QueryOptions extends CardOptions {
  /** How long to wait for all in all, seconds, 0.01..300. Default 5. */
  timeout?: number;
  /** Give up when it fires. */
  signal?: AbortSignal;
  /** Protocol version of the request. Default 4. 5 is a draft: docs/ntpv5.md. */
  version?: NtpVersion;
  /** Only addresses of this family. Default both. */
  family?: Family;
  /** Ask for root delay and dispersion in chrony's finer extension field (0xF323). Default false. */
  fineRoot?: boolean;
  /**
   * Ask in interleaved mode (RFC 9769), for the server's true transmit timestamp: up to three exchanges, 2 s apart. From a
   * server without it, or when the time is up, the sample is a basic one: see {@link Sample.interleaved}. Default false.
   */
  interleaved?: boolean;
  /** Authenticate with this key, and believe nothing without it. The server must have the same. Not for `nts:` sources. */
  key?: SymmetricKey;
  /** How keys are established with an `nts:` source. */
  nts?: NtsOptions;
  /** Ask by this relay: its `ws:` or `wss:` URL. It need not be trusted with authenticated sources: docs/relay.md. Default none. */
  relay?: RelayChoice;
}

const DEFAULT_TIMEOUT = 5;
const DEFAULT_VERSION = 4;
/** An answer later than this is no help, and a number this large is probably milliseconds. */
const LONGEST_TIMEOUT = 300;

/** See {@link Escapement.query}. `ring`: keys of earlier questions to the same source. */
export async function query(host: Host, source: string | URL, options: QueryOptions = {}, ring = ringFor(host, source, options)): Promise<Sample> {
  const parsed = parseSource(source, { roughtime: true });
  const question = {
    source: parsed,
    timeout: checkedTimeout(options.timeout),
    version: checkedVersion(options.version),
    family: checkedFamily(options.family),
    fineRoot: options.fineRoot ?? false,
    interleaved: options.interleaved ?? false,
    key: options.key && checkedKey(options.key),
    nts: ring,
    signal: options.signal,
  };
  if (ring && question.version === 3) throw new NtpError("INVALID_ARGUMENT", `expected version 4 or 5 for "${String(source)}": NTS needs its extension fields; got ${question.version}`);
  if (ring && question.key) throw new NtpError("INVALID_ARGUMENT", `expected a key or an nts: source, got both for "${String(source)}"`);
  // Loaded when asked for: its signatures are half as large as everything else.
  if (parsed.scheme === "roughtime") return (await import("../roughtime/sample.ts")).queryRoughtime(host, parsed, question);
  return new Inquiry(host, question).sample;
}

/** Where the keys of an `nts:` source are kept; undefined for others. */
export function ringFor(host: Host, source: string | URL, options: QueryOptions): KeyRing | undefined {
  const parsed = parseSource(source, { roughtime: true });
  return parsed.scheme === "nts" ? new KeyRing(parsed, keyEstablishment(host, parsed, { ...options.nts, family: options.family, version: options.version })) : undefined;
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
function checkedTimeout(timeout = DEFAULT_TIMEOUT): number {
  if (typeof timeout === "number" && timeout >= 0.01 && timeout <= LONGEST_TIMEOUT) return timeout;
  throw new NtpError("INVALID_ARGUMENT", `expected a timeout of 0.01..${LONGEST_TIMEOUT} seconds, got ${String(timeout)}`);
}

function checkedVersion(version: NtpVersion = DEFAULT_VERSION): NtpVersion {
  if (version === 3 || version === 4 || version === 5) return version;
  throw new NtpError("INVALID_ARGUMENT", `expected version 3, 4 or 5, got ${String(version)}`);
}

function checkedFamily(family: Family | undefined): Family | undefined {
  if (family === undefined || family === 4 || family === 6) return family;
  throw new NtpError("INVALID_ARGUMENT", `expected family 4 or 6, got ${String(family)}`);
}
