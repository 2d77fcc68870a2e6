// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TLS 1.3 of our own over any stream of octets, for runtimes that have none that is fit for NTS.
 *
 * It is a client, for short connections that establish keys: no TLS 1.2, no resumption, no early data, no client
 * certificates. docs/tls.md says what is checked and what is not. Tested in client.test.ts, stream.test.ts and
 * tests/interop/tls.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { ByteStream, TlsClientOptions, TlsStream } from "../stream.ts";
import { serverName } from "../x509/names.ts";
import { readRoots } from "../x509/path.ts";
import { alertOctets, TlsFailure } from "./alert.ts";
import { CONTENT } from "./constants.ts";
import type { Random } from "./groups.ts";
import { shakeHands } from "./handshake.ts";
import { RecordStream } from "./record.ts";
import { endedBy, EstablishedStream } from "./stream.ts";

/** What {@link connectTls} needs to know; the endpoint is that of `tcp`. `ca` is required: there are no roots here. */
export type TlsOptions = Omit<TlsClientOptions, "endpoint">;

/** How long an alert may take to leave after a failed handshake. */
const ALERT_MS = 1000;

/**
 * Shake hands over `tcp`, which the connection owns from now on: it is closed when this rejects.
 *
 * The signal ends the handshake; afterwards use `close()`. `now` is asked, in ms since 1970, unless `options.time` is set.
 *
 * @throws {NtpError} `TLS` when the server or its certificate is refused, or refuses us; `UNREACHABLE` when the connection
 * fails; `ABORTED` or `TIMEOUT` by the signal; `INVALID_ARGUMENT` for roots, names or protocols that cannot be; `UNSUPPORTED`
 * where there is no WebCrypto.
 */
export async function connectTls(tcp: ByteStream, options: TlsOptions, random: Random, now: () => number): Promise<TlsStream> {
  const { signal } = options;
  const stop = () => tcp.close();
  signal.addEventListener("abort", stop, { once: true });
  const records = new RecordStream(tcp);
  try {
    if (signal.aborted) throw stopped(signal, options.serverName);
    const agreed = await shakeHands(records, {
      ...options,
      alpn: checkedProtocols(options.alpn),
      name: serverName(options.serverName),
      roots: readRoots(options.ca ?? noRoots()),
      time: options.time ?? now(),
      random,
    });
    if (signal.aborted) throw stopped(signal, options.serverName);
    return new EstablishedStream(records, agreed);
  } catch (error) {
    if (!signal.aborted) await tell(records, error);
    records.close();
    throw signal.aborted ? stopped(signal, options.serverName) : endedBy(error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Tell the server why, as far as there is a reason to tell and a way to tell it. */
async function tell(records: RecordStream, error: unknown): Promise<void> {
  if (!(error instanceof TlsFailure) || !error.alert) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ALERT_MS)));
  await Promise.race([records.write(CONTENT.alert, alertOctets(error.alert)).catch(() => {}), late]);
  clearTimeout(timer);
}

function stopped({ reason }: AbortSignal, name: string): NtpError {
  if (reason instanceof NtpError) return reason;
  const late = (reason as Error | undefined)?.name === "TimeoutError";
  const what = late ? "did not end in time" : "was aborted by its caller";
  return new NtpError(late ? "TIMEOUT" : "ABORTED", `the TLS handshake with "${name}" ${what}`, { cause: reason });
}

function noRoots(): never {
  throw new NtpError("INVALID_ARGUMENT", "expected root certificates (`ca`, PEM): this TLS has none of its own");
}

function checkedProtocols(alpn: readonly string[]): readonly string[] {
  for (const name of alpn) {
    if (/^[\x21-\x7e]{1,255}$/.test(name)) continue;
    throw new NtpError("INVALID_ARGUMENT", `alpn: expected 1 to 255 ASCII characters, got ${JSON.stringify(name)}`);
  }
  return alpn;
}
