// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which NTP server clients are sent to (RFC 8915 §4.1.7): one of several by weight, so that one key establishment server
 * spreads the load of a fleet. All of them must open its cookies: docs/nts.md, "A fleet". Tested in direct.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { isServerName } from "./records.ts";

/** One NTP server that opens our cookies. */
export interface NtpServer {
  /** Name or address; absent: the address that keys were established with. */
  readonly host?: string | undefined;
  /** UDP port. Default 123. */
  readonly port?: number | undefined;
  /** Its share of clients, in proportion to the others'. Default 1; 0: only for who asks for it by name. */
  readonly weight?: number | undefined;
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedServers(servers: readonly NtpServer[]): readonly NtpServer[] {
  const wrong = (what: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${JSON.stringify(got)}`);
  for (const { host, port = 123, weight = 1 } of servers) {
    if (host !== undefined && !isServerName(host)) throw wrong("an NTP server's name or address, without a zone", host);
    if (!(Number.isInteger(port) && port >= 1 && port <= 65535)) throw wrong("an NTP server's port of 1..65535", port);
    if (!(weight >= 0 && weight <= 1e9)) throw wrong("an NTP server's weight of 0..1e9", weight);
  }
  if (!servers.some(({ weight = 1 }) => weight > 0)) throw wrong("at least one NTP server with a weight above 0", servers);
  return servers;
}

/**
 * The server for one client: the one it wishes if it is ours, else one by weight, of those that are reachable from the address
 * that the client came from: a literal address of the other family is not, unless there is nothing else.
 *
 * `random`: from 0 up to 1.
 */
export function chooseServer(servers: readonly NtpServer[], wish: string | undefined, clientAddress: string, random: number): NtpServer {
  const wished = wish === undefined ? undefined : servers.find(({ host }) => host?.toLowerCase() === wish.toLowerCase());
  if (wished) return wished;
  const open = servers.filter(({ weight = 1 }) => weight > 0);
  const reachable = open.filter(({ host }) => isReachable(host, clientAddress));
  const choice = reachable.length > 0 ? reachable : open;
  const total = choice.reduce((sum, { weight = 1 }) => sum + weight, 0);
  let left = random * total;
  return choice.find(({ weight = 1 }) => (left -= weight) < 0) ?? choice.at(-1) ?? {};
}

function isReachable(host: string | undefined, from: string): boolean {
  if (host === undefined) return true;
  if (host.includes(":")) return from.includes(":");
  return !/^\d{1,3}(\.\d{1,3}){3}$/.test(host) || !from.includes(":");
}
