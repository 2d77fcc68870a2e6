// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chronyd as server and as client with NTS (RFC 8915), and what `chronyc authdata` tells of its keys and cookies.
 *
 * @module
 */

import { freeTcpPort, loopbackAlias } from "../support/peers.ts";
import type { PkiFiles } from "../support/files-of-pki.ts";
import { chronyClient, chronyServer, type ChronyClientOptions, type Chronyd, type ChronydOptions } from "./chrony.ts";

/** A server that has keys established, at `kePort` of its address. */
export interface NtsChronyd extends Chronyd {
  readonly kePort: number;
}

export interface NtsChronydOptions extends ChronydOptions {
  readonly pki: PkiFiles;
  /** The port for key establishment; a free one when absent, 4460 in a namespace. */
  readonly kePort?: number;
}

/** A chronyd of stratum 1, unless told otherwise by `lines`, with a certificate for its addresses. */
export async function chronyNtsServer({ pki, listen = [loopbackAlias()], lines = ["local stratum 1"], ...options }: NtsChronydOptions): Promise<NtsChronyd> {
  const { certificate, key } = pki.issue(...listen);
  const kePort = options.kePort ?? (options.namespace ? 4460 : await freeTcpPort(listen[0] ?? ""));
  const nts = [`ntsserverkey ${key}`, `ntsservercert ${certificate}`, `ntsport ${kePort}`];
  return { ...(await chronyServer({ ...options, listen, lines: [...nts, ...lines] })), kePort };
}

/** Where a server with NTS is, whoever made it. */
export interface NtsPlace {
  readonly address: string;
  readonly kePort: number;
}

export interface NtsClientOptions extends ChronyClientOptions {
  readonly pki: PkiFiles;
  readonly lines?: readonly string[];
}

/** A chronyd that follows `servers` by NTS, asking them every second, and trusts only certificates of `pki`. */
export function chronyNtsClient(servers: readonly NtsPlace[], { pki, lines = [], ...options }: NtsClientOptions): Promise<Chronyd> {
  const sources = servers.map(({ address, kePort }) => `server ${address} nts ntsport ${kePort} iburst minpoll 0 maxpoll 0`);
  return chronyClient([...sources, `ntstrustedcerts ${pki.ca}`, ...lines], options);
}

/** One line of `chronyc authdata`. */
export interface AuthData {
  readonly mode: string;
  /** Key's number; for NTS, of the key establishments that were done. */
  readonly keyId: number;
  /** The AEAD's number, or of the MAC. */
  readonly type: number;
  readonly keyLength: number;
  /** Attempts of key establishment since the last that succeeded. */
  readonly attempts: number;
  /** Whether the last exchange was answered by a NAK. */
  readonly nak: number;
  readonly cookies: number;
  readonly cookieLength: number;
}

/** What chronyd says of its association with `address`. */
export async function authData({ ask }: Pick<Chronyd, "ask">, address: string): Promise<AuthData> {
  const text = await ask("authdata");
  const cells = text.split("\n").map((line) => line.trim().split(/\s+/)).find(([name]) => name === address);
  // Name, mode, key, type, key's length, last, attempts, NAK, cookies, cookie's length
  if (cells?.length !== 10) throw new Error(`expected a line of ten columns about ${address}, got ${text}`);
  const at = (column: number) => Number(cells[column]);
  return { mode: cells[1] ?? "", keyId: at(2), type: at(3), keyLength: at(4), attempts: at(6), nak: at(7), cookies: at(8), cookieLength: at(9) };
}
