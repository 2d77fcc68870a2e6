// SPDX-License-Identifier: MIT OR Apache-2.0
/** A relay's refusal as an error. Tested in client.test.ts. @module */

import { formatEndpoint } from "../address.ts";
import { NtpError, type NtpErrorCode } from "../errors.ts";
import type { Endpoint } from "../host.ts";
import { RELAY_ERROR } from "./protocol.ts";

const MEANING: Readonly<Record<number, { code: NtpErrorCode; what: string }>> = {
  [RELAY_ERROR.forbidden]: { code: "UNREACHABLE", what: "it is none of its targets" },
  [RELAY_ERROR.limit]: { code: "UNREACHABLE", what: "too much was asked of it; try again later" },
  [RELAY_ERROR.payload]: { code: "UNREACHABLE", what: "it does not carry such datagrams" },
  [RELAY_ERROR.dns]: { code: "DNS", what: "it found no address" },
  [RELAY_ERROR.unreachable]: { code: "UNREACHABLE", what: "it was refused there" },
  [RELAY_ERROR.timeout]: { code: "TIMEOUT", what: "nothing came in time" },
  [RELAY_ERROR.malformed]: { code: "UNREACHABLE", what: "it does not understand this version" },
};

/** What a relay says of a request to `target`; the relay's word only. */
export function relayRefusal({ code, text }: { readonly code: number; readonly text: string }, target: Endpoint): NtpError {
  const { code: kind, what } = MEANING[code] ?? { code: "UNREACHABLE" as const, what: `reason ${code}` };
  return new NtpError(kind, `the relay did not reach ${formatEndpoint(target)}: ${what}${text && ` (${text})`}`);
}
