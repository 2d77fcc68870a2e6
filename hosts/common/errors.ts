// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The one error class of escapement and the list of its codes.
 *
 * A message says what was expected, what came, and what to do. Secrets never enter a message. Losing a reply, a peer
 * or a server is a state, not an exception; only a call that cannot give what it promised throws.
 *
 * Documented in docs/errors.md; tested in errors.test.ts.
 *
 * @module
 */

/** Every code an {@link NtpError} can carry. */
export type NtpErrorCode =
  /** The caller's `AbortSignal` fired. */
  | "ABORTED"
  /** The system clock refused to be steered. */
  | "CLOCK"
  /** Too few sources agreed to tell the time. */
  | "NO_AGREEMENT"
  /** The name has no address. */
  | "DNS"
  /** An argument or option has no meaning here. */
  | "INVALID_ARGUMENT"
  /** The socket could not be opened or bound. */
  | "SOCKET"
  /** NTS key establishment failed: the server said so, or did not speak the protocol. */
  | "NTS_KE"
  /** The TLS handshake failed: certificate, name, validity, protocol. */
  | "TLS"
  /** No usable answer came in time. */
  | "TIMEOUT"
  /** This runtime or platform cannot do what was asked. */
  | "UNSUPPORTED"
  /** Every address refused: nothing listens there. */
  | "UNREACHABLE";

/** Extra facts that an {@link NtpError} carries. */
export interface NtpErrorOptions {
  /** The source, as the caller wrote it, that the error is about. */
  source?: string;
  /** The lower error, where there is one. */
  cause?: unknown;
}

/** What escapement throws. Branch on `code`, show `message`. */
export class NtpError extends Error {
  override readonly name = "NtpError";
  readonly code: NtpErrorCode;
  /** The source that it is about, as the caller wrote it. */
  declare readonly source?: string;

  constructor(code: NtpErrorCode, message: string, options: NtpErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.source !== undefined) this.source = options.source;
  }
}
