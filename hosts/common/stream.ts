// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a runtime lends for NTS key establishment: byte streams, and TLS 1.3 with an exporter where it has one.
 *
 * Where a runtime has TCP but no fit TLS (Deno), hosts/common/tls makes a {@link TlsStream} over a {@link ByteStream}.
 * Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

import type { Endpoint } from "./host.ts";

/** A connected stream of octets. */
export interface ByteStream {
  /** The next octets as they come, or undefined at the end. One reader at a time. Rejects when the connection fails. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when the octets were taken over. */
  write(data: Uint8Array): Promise<void>;
  /** Idempotent; pending reads end. */
  close(): void;
}

/** A TLS 1.3 connection after its handshake, with the peer's certificate judged. */
export interface TlsStream extends ByteStream {
  /** The application protocol that both sides agreed on. */
  readonly alpn: string | undefined;
  /** The key exchange group: "X25519MLKEM768", "X25519", "P-256"…; undefined where the runtime does not tell. */
  readonly group: string | undefined;
  /** The cipher suite by its IANA name, for people. */
  readonly cipher: string | undefined;
  /** RFC 8446 §7.5. */
  exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array>;
}

/** Whether the hybrid group with ML-KEM is wanted, insisted on, or left out. */
export type PostQuantum = "prefer" | "require" | "off";

/** How a client connects. Errors are `NtpError` with code `TLS` (certificate, protocol), `UNREACHABLE`, `TIMEOUT` or `ABORTED`. */
export interface TlsClientOptions {
  readonly endpoint: Endpoint;
  /** The name that the certificate must be for, and that is asked for (SNI; not for literal addresses). */
  readonly serverName: string;
  /** Offered application protocols; the connection fails unless the peer picks one of them. */
  readonly alpn: readonly string[];
  /** Trusted roots, PEM; the runtime's own when absent. */
  readonly ca?: string | undefined;
  /** SHA-256 of SubjectPublicKeyInfo, base64: the chain must contain one of them, in addition to all other checks. */
  readonly pins?: readonly string[] | undefined;
  /** The time at which certificates must be valid, ms since 1970; the system's when absent. "any": validity is not judged. */
  readonly time?: number | "any" | undefined;
  readonly pq: PostQuantum;
  /** Lines in the NSS key log format, for debugging; secrets! */
  readonly keyLog?: ((line: string) => void) | undefined;
  /** Ends connecting and the handshake; afterwards `close()` does. */
  readonly signal: AbortSignal;
}

/** How a server listens. */
export interface TlsServerOptions {
  readonly endpoint: Endpoint;
  /** PEM: leaf first. */
  readonly certificate: string;
  readonly key: string;
  readonly alpn: readonly string[];
  /** Connections at one time, those still shaking hands among them; further ones are closed at once. */
  readonly maxConnections: number;
  /** Asked before the handshake, which is what costs; a connection from an address that is not admitted is closed at once. */
  readonly admit?: ((address: string) => boolean) | undefined;
  /** What a handshake may take, ms. Default 5000. */
  readonly handshakeTimeout?: number | undefined;
  readonly keyLog?: ((line: string) => void) | undefined;
}

export interface TlsListener {
  readonly local: Endpoint;
  /** Handshakes that failed, for instance for want of a common application protocol. */
  readonly failed: number;
  /** Connections that were closed at once: too many, or not admitted. */
  readonly refused: number;
  /** Use another certificate from the next handshake on; connections go on. @throws when they do not fit together. */
  renew(certificate: string, key: string): void;
  close(): Promise<void>;
}

/** How a server listens by TCP. */
export interface TcpServerOptions {
  readonly endpoint: Endpoint;
  /** Connections at one time; further ones are closed at once. */
  readonly maxConnections: number;
}

export interface TcpListener {
  readonly local: Endpoint;
  /** Stop accepting. Connections that were accepted are their owner's. Idempotent. */
  close(): Promise<void>;
}

/** Lent by a host as far as it can; `undefined` members are missing capabilities. */
export interface HostStreams {
  /** Connect by TCP. */
  connectTcp?(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream>;
  /** Listen by TCP; `accepted` gets each connection and the address of its other side. */
  listenTcp?(options: TcpServerOptions, accepted: (stream: ByteStream, from: Endpoint) => void): Promise<TcpListener>;
  /** Connect by TLS 1.3 of the runtime's own. Rejects with `UNSUPPORTED` for what it cannot do (a given time, ML-KEM on Node 20). */
  connectTls?(options: TlsClientOptions): Promise<TlsStream>;
  /** Listen; `accepted` gets each connection after its handshake and the address of its other side. */
  listenTls?(options: TlsServerOptions, accepted: (stream: TlsStream, from: Endpoint) => void): Promise<TlsListener>;
  /** Root certificates that this runtime trusts, PEM. */
  rootCertificates?(): Promise<string>;
}
