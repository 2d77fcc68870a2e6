// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Keys from a server by its name: look it up, connect, establish (RFC 8915 §4). All within one deadline; settles exactly once,
 * and with that nothing is open any more.
 *
 * It tries once. When to try again is backoff.ts; falling back to NTP without NTS is nobody's. Tested in client.test.ts, and in
 * tests/interop/nts-ke.test.ts with chronyd.
 *
 * @module
 */

import { endpointsOf, type Family } from "../client/resolve.ts";
import { formatEndpoint } from "../address.ts";
import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { PostQuantum, TlsStream } from "../stream.ts";
import { connectBest, connectFirst, type TlsLoader } from "./connect.ts";
import { establish, keRequest, type Establishment, type KeRequest } from "./establish.ts";
import { KE_ALPN, KE_PORT } from "./records.ts";

export interface KeClientOptions extends KeRequest {
  /** Name or IP address of the key establishment server: what its certificate must be for. */
  readonly host: string;
  /** TCP port. Default 4460. */
  readonly kePort?: number | undefined;
  /** The source as the caller wrote it, for messages. Default `host`. */
  readonly source?: string | undefined;
  /** Only addresses of this family. */
  readonly family?: Family | undefined;
  /** s for all of it: names, TCP, TLS, the exchange. Default 10. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Trusted roots, PEM. Default: the runtime's. */
  readonly ca?: string | undefined;
  /** SHA-256 of SubjectPublicKeyInfo, base64: one of them must be in the chain. */
  readonly pins?: readonly string[] | undefined;
  /** When certificates must be valid; see certtime.ts. */
  readonly time?: number | "any" | undefined;
  /** The key exchange group with ML-KEM. Default "prefer". */
  readonly pq?: PostQuantum | undefined;
  /** Lines in the NSS key log format. Secrets! */
  readonly keyLog?: ((line: string) => void) | undefined;
  /** Loads escapement's own TLS. */
  readonly tls?: TlsLoader | undefined;
}

const TIMEOUT_S = 10;
/** More than anybody waits; far from what a timer can take. */
const TIMEOUT_MOST_S = 3600;

/** This build has no TLS of its own. */
const noTls: TlsLoader = async () => undefined;

/**
 * Establish keys.
 *
 * @throws {NtpError} `DNS`, `UNREACHABLE`, `TLS`, `NTS_KE`, `TIMEOUT`, `ABORTED`, `UNSUPPORTED`, `INVALID_ARGUMENT`.
 */
export async function establishKeys(host: Host, options: KeClientOptions): Promise<Establishment> {
  const { source = options.host, timeout = TIMEOUT_S, kePort = KE_PORT, family } = options;
  // What cannot be asked should fail before anybody is bothered.
  keRequest(options);
  if (!host.connectTls && !host.connectTcp) throw new NtpError("UNSUPPORTED", `${host.runtime} has neither TLS nor TCP to establish NTS keys over`, { source });
  if (!(timeout > 0 && timeout <= TIMEOUT_MOST_S)) throw new NtpError("INVALID_ARGUMENT", `expected a timeout above 0 and of at most ${TIMEOUT_MOST_S} s, got ${timeout}`, { source });
  const limit = limited(options, source, timeout);
  let stream: TlsStream | undefined;
  try {
    const found = endpointsOf(host, { text: source, scheme: "ntp", host: options.host, port: kePort }, family, limit.signal);
    const endpoints = await unlessOver(found, limit.signal);
    const connected = await connectFirst(endpoints, (endpoint, given) => connect(host, options, endpoint, given), limit.signal);
    stream = connected.stream;
    return await unlessOver(establish(stream, connected.endpoint.address, options), limit.signal);
  } catch (error) {
    throw named(error, source);
  } finally {
    limit.end();
    stream?.close();
  }
}

function connect(host: Host, options: KeClientOptions, endpoint: Endpoint, signal: AbortSignal): Promise<TlsStream> {
  const { host: serverName, ca, pins, time, pq = "prefer", keyLog, tls = noTls } = options;
  return connectBest(host, { endpoint, serverName, alpn: [KE_ALPN], ca, pins, time, pq, keyLog, signal }, tls);
}

/** A signal that fires with the caller's or at the deadline; its reason is the error to throw. */
function limited({ signal, host, kePort = KE_PORT }: KeClientOptions, source: string, timeout: number): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort(new NtpError("ABORTED", `establishing keys with "${source}" was aborted by its caller`, { source, cause: signal?.reason }));
  const late = () => controller.abort(new NtpError("TIMEOUT", `no NTS keys from "${source}" within ${timeout} s; check that TCP to ${formatEndpoint({ address: host, port: kePort })} is let through`, { source }));
  const timer = setTimeout(late, Math.round(timeout * 1000));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, end };
}

/** What `promise` brings, unless `signal` fires first: not everything that is waited for can be cancelled. */
function unlessOver<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** The error, with the source that it is about. */
function named(error: unknown, source: string): unknown {
  if (!(error instanceof NtpError)) return new NtpError("TLS", `the connection to "${source}" failed: ${error instanceof Error ? error.message : String(error)}`, { source, cause: error });
  return error.source === undefined ? new NtpError(error.code, `${error.message} ("${source}")`, { source, cause: error.cause }) : error;
}
