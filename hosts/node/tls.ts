// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TLS 1.3 on `node:tls`, client and server: never an older version, never another application protocol than asked for.
 *
 * What OpenSSL cannot be asked is refused with UNSUPPORTED, so that escapement's own TLS takes over: certificates judged at
 * a given time, and the group with ML-KEM before OpenSSL 3.5 (Node 20). Sessions are not resumed: each key establishment
 * stands by itself. Tested in tls.test.ts on this Node, in tests/interop/nts-ke.test.ts on others.
 *
 * @module
 */

import { createHash, X509Certificate } from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import { NtpError } from "../common/errors.ts";
import type { PostQuantum, TlsClientOptions, TlsStream } from "../common/stream.ts";
import { formatEndpoint } from "../common/address.ts";
import { NodeTlsStream } from "./tls-stream.ts";

export { listenTls } from "./tls-listen.ts";

/** The hybrid of X25519 and ML-KEM-768, and what is offered beside it. */
const HYBRID = "X25519MLKEM768";
const CLASSIC = "X25519:P-256:P-384";

let hybridKnown: boolean | undefined;

/** Whether this runtime's TLS has the group with ML-KEM: OpenSSL 3.5 and later, BoringSSL. */
function hasHybrid(): boolean {
  if (hybridKnown === undefined) {
    try {
      tls.createSecureContext({ ecdhCurve: HYBRID });
      hybridKnown = true;
    } catch {
      hybridKnown = false;
    }
  }
  return hybridKnown;
}

function curves(pq: PostQuantum): string {
  if (pq === "off") return CLASSIC;
  return pq === "require" ? HYBRID : `${HYBRID}:${CLASSIC}`;
}

export async function connectTls(options: TlsClientOptions): Promise<TlsStream> {
  const { endpoint, pq, time, signal } = options;
  if (time !== undefined) throw new NtpError("UNSUPPORTED", "this runtime's TLS judges certificates at the system's time only");
  if (pq !== "off" && !hasHybrid()) throw new NtpError("UNSUPPORTED", `this runtime's TLS does not have the group ${HYBRID}`);
  if (signal.aborted) throw aborted(options);
  const socket = tls.connect(socketOptions(options));
  if (options.keyLog) socket.on("keylog", (line: Buffer) => options.keyLog?.(line.toString("latin1").trimEnd()));
  try {
    await secured(socket, signal);
    checkAgreed(socket, options);
    return new NodeTlsStream(socket, groupOf(socket, pq));
  } catch (cause) {
    socket.destroy();
    if (cause instanceof NtpError) throw cause;
    throw signal.aborted ? aborted(options) : failure(cause as Error & { code?: string }, formatEndpoint(endpoint));
  }
}

function socketOptions({ endpoint, serverName, alpn, ca, pq }: TlsClientOptions): tls.ConnectionOptions {
  return {
    host: endpoint.address,
    port: endpoint.port,
    minVersion: "TLSv1.3",
    ecdhCurve: curves(pq),
    ALPNProtocols: [...alpn],
    // An address has no place in SNI (RFC 6066 §3).
    servername: net.isIP(serverName) ? "" : serverName,
    checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(serverName, certificate),
    ...(ca === undefined ? {} : { ca }),
  };
}

/** Resolves after the handshake and the judgement of the certificate. */
function secured(socket: tls.TLSSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    const done = (act: () => void) => () => {
      signal.removeEventListener("abort", onAbort);
      act();
    };
    socket.once("secureConnect", done(resolve));
    socket.once("close", done(() => reject(Object.assign(new Error("the connection was closed during the handshake"), { code: "ECLOSED" }))));
    // Stays for good: an error after this is the stream's to tell, and MUST NOT end the process.
    socket.on("error", (error) => done(() => reject(error))());
  });
}

/** What the handshake itself does not make sure of. */
function checkAgreed(socket: tls.TLSSocket, { alpn, pins, endpoint }: TlsClientOptions): void {
  const where = formatEndpoint(endpoint);
  // A server may ignore ALPN; then it does not speak what we came for.
  if (!alpn.includes(socket.alpnProtocol || "")) throw new NtpError("TLS", `expected the application protocol ${alpn.join(" or ")} of ${where}, it agreed on ${socket.alpnProtocol || "none"}; is this its NTS-KE port?`);
  if (socket.getProtocol() !== "TLSv1.3") throw new NtpError("TLS", `expected TLS 1.3 of ${where}, got ${socket.getProtocol()}`);
  if (pins && !chainPins(socket).some((pin) => pins.includes(pin))) throw new NtpError("TLS", `expected a pinned key in the certificate chain of ${where}, found none; check the pins`);
}

/** SHA-256 of each SubjectPublicKeyInfo in the chain, base64. */
function chainPins(socket: tls.TLSSocket): string[] {
  const pins: string[] = [];
  const seen = new Set<string>();
  for (let next: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true); next?.raw; next = next.issuerCertificate) {
    // A root names itself as its issuer.
    if (seen.has(next.fingerprint256)) break;
    seen.add(next.fingerprint256);
    const key = new X509Certificate(next.raw).publicKey.export({ type: "spki", format: "der" });
    pins.push(createHash("sha256").update(key).digest("base64"));
  }
  return pins;
}

/** Node tells the group from 22 on, Bun only classic ones; what alone was offered is known anyway. */
function groupOf(socket: tls.TLSSocket, pq: PostQuantum): string | undefined {
  if (pq === "require") return HYBRID;
  const { name } = (socket.getEphemeralKeyInfo() ?? {}) as { name?: string };
  return name === "prime256v1" ? "P-256" : name === "secp384r1" ? "P-384" : name;
}

function aborted({ signal }: TlsClientOptions): NtpError {
  return new NtpError("ABORTED", "the connection was aborted by its caller", { cause: signal.reason });
}

/** No route, nobody there, or gone before it said a word: not the fault of TLS. */
const UNREACHABLE = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES", "EPERM"]);

function failure(cause: Error & { code?: string }, where: string): NtpError {
  if (cause.code === "ETIMEDOUT") return new NtpError("TIMEOUT", `no TCP connection to ${where} in time`, { cause });
  if (UNREACHABLE.has(cause.code ?? "")) return new NtpError("UNREACHABLE", `no TCP connection to ${where}: ${cause.message}`, { cause });
  return new NtpError("TLS", `expected a TLS 1.3 handshake with ${where}, it failed: ${cause.message.trim()}`, { cause });
}
