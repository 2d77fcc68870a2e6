// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TLS connection to a key establishment server: by the runtime's TLS where that can do what is asked, else by escapement's
 * own over TCP; to the first of several addresses that answers.
 *
 * Never less than asked: only "prefer" does without ML-KEM, and only where there is no way to have it. Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { ByteStream, TlsClientOptions, TlsStream } from "../stream.ts";

/** TLS 1.3 over a connected stream: hosts/common/tls. `options.ca` is always given. */
export type TlsOver = (tcp: ByteStream, options: TlsClientOptions) => Promise<TlsStream>;
/** Loads it when it is needed; undefined where a build leaves it out. */
export type TlsLoader = () => Promise<TlsOver | undefined>;

export type Connect = (endpoint: Endpoint, signal: AbortSignal) => Promise<TlsStream>;

/** One connection, by the best TLS there is. */
export async function connectBest(host: Host, options: TlsClientOptions, load: TlsLoader): Promise<TlsStream> {
  let unable: unknown;
  if (host.connectTls) {
    try {
      return await host.connectTls(options);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      unable = error;
    }
  }
  const own = host.connectTcp && (await load());
  if (own) return overTcp(host, options, own);
  if (host.connectTls && options.pq === "prefer" && options.time === undefined) return host.connectTls({ ...options, pq: "off" });
  throw unable ?? new NtpError("UNSUPPORTED", `${host.runtime} has no TLS 1.3 with an exporter, and no TCP to speak it over`);
}

async function overTcp(host: Host, options: TlsClientOptions, own: TlsOver): Promise<TlsStream> {
  const ca = options.ca ?? (await host.rootCertificates?.());
  if (ca === undefined) throw new NtpError("UNSUPPORTED", `${host.runtime} lends no root certificates; give the trusted ones by "ca"`);
  const tcp = await host.connectTcp!(options.endpoint, options.signal);
  try {
    return await own(tcp, { ...options, ca });
  } catch (error) {
    tcp.close();
    throw error;
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof NtpError && error.code === "UNSUPPORTED";
}

/** What an address is given before the next is tried beside it, ms: TCP and TLS take two round trips. */
const TURN_MS = 1000;

/**
 * The first connection that stands. The next address is tried when one has failed, or has taken a while; the others are given
 * up with the first success, and all when `signal` fires. Rejects with what tells most when all have failed.
 */
export function connectFirst(endpoints: readonly Endpoint[], connect: Connect, signal: AbortSignal): Promise<{ stream: TlsStream; endpoint: Endpoint }> {
  return new Promise((resolve, reject) => {
    const giveUp = new AbortController();
    const errors: unknown[] = [];
    let next = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (how: () => void) => {
      if (giveUp.signal.aborted) return;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      giveUp.abort();
      how();
    };
    const onAbort = () => settle(() => reject(signal.reason));
    const tryNext = () => {
      clearTimeout(timer);
      const endpoint = endpoints[next];
      if (!endpoint || giveUp.signal.aborted) return;
      next += 1;
      timer = setTimeout(tryNext, TURN_MS);
      connect(endpoint, giveUp.signal).then(
        // One that comes second is not needed any more.
        (stream) => (giveUp.signal.aborted ? stream.close() : settle(() => resolve({ stream, endpoint }))),
        (error: unknown) => {
          errors.push(error);
          if (errors.length === endpoints.length) settle(() => reject(mostTelling(errors)));
          else tryNext();
        },
      );
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    tryNext();
  });
}

/** Somebody who answered wrongly says more than nobody's silence. */
function mostTelling(errors: readonly unknown[]): unknown {
  for (const code of ["TLS", "UNSUPPORTED", "UNREACHABLE"]) {
    const telling = errors.find((error) => error instanceof NtpError && error.code === code);
    if (telling) return telling;
  }
  return errors[0];
}
