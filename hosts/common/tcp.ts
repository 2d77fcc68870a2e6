// SPDX-License-Identifier: MIT OR Apache-2.0
/** What every host's tcp.ts needs: errors of a connection that did not come about. Tested in hosts/node/tcp.test.ts. @module */

import { formatEndpoint } from "./address.ts";
import { NtpError } from "./errors.ts";
import type { Endpoint } from "./host.ts";

export function unreachable(endpoint: Endpoint, cause: unknown): NtpError {
  const code = (cause as { code?: string } | undefined)?.code;
  const why = code === undefined ? "" : ` (${code})`;
  return new NtpError("UNREACHABLE", `no TCP connection to ${formatEndpoint(endpoint)}${why}: check the address and the port`, { cause });
}

/** The signal fired: by a timeout or by the caller. */
export function stoppedBy({ reason }: AbortSignal, endpoint: Endpoint): NtpError {
  if (reason instanceof NtpError) return reason;
  const late = (reason as Error | undefined)?.name === "TimeoutError";
  const what = late ? "did not come about in time" : "was aborted by its caller";
  return new NtpError(late ? "TIMEOUT" : "ABORTED", `the TCP connection to ${formatEndpoint(endpoint)} ${what}`, { cause: reason });
}
