// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Whom `certTime` = "roughtime" asks, checked when the options are given; asking them is quorumtime.ts, loaded when it comes to
 * that. Tested in tests/interop/certtime.test.ts.
 *
 * @module
 */

import { parseSource } from "../client/source.ts";
import { NtpError } from "../errors.ts";
import type { RoughtimeServerEntry } from "../roughtime/client.ts";
import type { RoughtimeChoice } from "./options.ts";

/** Fewer cannot tell who lies. */
const LEAST = 3;

/** Servers as they are asked. @throws {NtpError} `INVALID_ARGUMENT` */
export function quorumServers(choices: readonly RoughtimeChoice[]): RoughtimeServerEntry[] {
  if (choices.length < LEAST) throw new NtpError("INVALID_ARGUMENT", `expected ${LEAST} Roughtime servers or more for certTime = "roughtime", as fewer cannot tell who lies, got ${choices.length}`);
  return choices.map((choice) => {
    if (typeof choice !== "string") return choice;
    const { scheme, host, port, publicKey } = parseSource(choice, { roughtime: true });
    if (scheme !== "roughtime" || !publicKey) throw new NtpError("INVALID_ARGUMENT", `expected a Roughtime server as roughtime:HOST[:PORT]#KEY, got "${choice}"`);
    return { name: choice, publicKey, addresses: [{ protocol: "udp", host, port }, { protocol: "tcp", host, port }] };
  });
}
