// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Key establishment as a client (RFC 8915 §4), over a TLS connection that is there: one request, one answer, the keys.
 *
 * The answer is taken only as a whole and only when it keeps every rule: one protocol and one algorithm, both of those
 * offered, and at least one cookie that NTP can carry. An error, and a warning that the caller does not know, ends it
 * (RFC 8915 §4.1.4). Nothing here connects, retries or falls back. Tested in establish.test.ts.
 *
 * @module
 */

import { keErrorText, writeKeMessage, type KeRecord } from "../core/cold.ts";
import { NtpError } from "../errors.ts";
import type { TlsStream } from "../stream.ts";
import { sessionKeys, type SessionKeys } from "./exporter.ts";
import { receiveKeMessage } from "./receive.ts";
import {
  AES_128_GCM_SIV, DEFAULT_AEADS, NTPV4, NTPV5_DRAFT, RECORD, aeadName, checkedAeads, compliantExporterRecord, draftRecord, endRecord, isServerName, nameOf, numberOf, numbersOf, numbersRecord, serverRecord,
} from "./records.ts";

/** What is asked for. */
export interface KeRequest {
  /** Protocols, the preferred one first. Default NTPv4 alone. */
  readonly protocols?: readonly number[] | undefined;
  /** Which draft of NTPv5 is meant, "draft-ietf-ntp-ntpv5-08"; required with protocol 0x8001. */
  readonly draft?: string | undefined;
  /** AEAD algorithms, the preferred one first. Default 30, 15, 17, 16. */
  readonly aeads?: readonly number[] | undefined;
  /** Ask for cookies for this NTP server. The answer may name another one. */
  readonly server?: string | undefined;
  /** Ask for this UDP port. */
  readonly port?: number | undefined;
  /** Warning codes that the caller knows and can live with. RFC 8915 defines none. */
  readonly acceptWarnings?: readonly number[] | undefined;
}

/** What two sides have agreed on. Keys and cookies are secrets. */
export interface Establishment extends SessionKeys {
  readonly protocol: number;
  readonly aead: number;
  /** The other pair of keys that a server with AEAD 30 may mean; to be tried after an NTSN, once. See exporter.ts. */
  readonly otherKeys?: SessionKeys;
  /** 1 to 8, to be used once each, in this order. */
  readonly cookies: readonly Uint8Array[];
  /** The NTP server: the one named, else the address that keys were established with. */
  readonly host: string;
  readonly port: number;
  /** Key exchange group of the TLS connection, where the runtime tells. */
  readonly group: string | undefined;
  readonly warnings: readonly number[];
}

/** A message of ours has ten records; eight cookies of 1 KiB fit many times over. */
const LIMITS = { octets: 65536, records: 64 } as const;
/** RFC 8915 §5.7: more than eight are never asked for. */
const COOKIES_KEPT = 8;
/** As many octets as the core keeps (assembly/association/nts.ts): a longer one could not be asked with. */
const COOKIE_MOST = 768;
const NTP_PORT = 123;

/** The records of a request. @throws {NtpError} `INVALID_ARGUMENT` */
export function keRequest({ protocols = [NTPV4], draft, aeads = DEFAULT_AEADS, server, port }: KeRequest): KeRecord[] {
  checkedAeads(aeads);
  if (protocols.length === 0) throw new NtpError("INVALID_ARGUMENT", "expected at least one protocol to establish keys for, got none");
  if (protocols.includes(NTPV5_DRAFT) !== (draft !== undefined && /^[\x21-\x7e]{1,100}$/.test(draft))) throw new NtpError("INVALID_ARGUMENT", `expected the name of a draft with protocol ${NTPV5_DRAFT} and only then, got ${JSON.stringify(draft)}`);
  if (server !== undefined && !isServerName(server)) throw new NtpError("INVALID_ARGUMENT", `expected an NTP server to ask for by its name or address, without a zone, got ${JSON.stringify(server)}`);
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) throw new NtpError("INVALID_ARGUMENT", `expected an NTP port of 1..65535, got ${port}`);
  return [
    numbersRecord(RECORD.nextProtocol, true, protocols),
    numbersRecord(RECORD.aead, true, aeads),
    ...(aeads.includes(AES_128_GCM_SIV) ? [compliantExporterRecord] : []),
    ...(draft === undefined ? [] : [draftRecord(draft)]),
    // A wish, not a condition: a server that knows nothing of it may go on.
    ...(server === undefined ? [] : [serverRecord(false, server)]),
    ...(port === undefined ? [] : [numbersRecord(RECORD.port, false, [port])]),
    endRecord,
  ];
}

/**
 * Ask over `stream`, whose other side has the IP address `address`. The stream stays open: closing it, and limiting the time
 * by closing it, is up to the caller.
 *
 * @throws {NtpError} `NTS_KE` when the server refuses or does not keep the rules, `INVALID_ARGUMENT`.
 */
export async function establish(stream: TlsStream, address: string, request: KeRequest = {}): Promise<Establishment> {
  await stream.write(writeKeMessage(keRequest(request)));
  const received = await receiveKeMessage(stream, LIMITS);
  if ("ended" in received) throw refused(`the answer ended after ${received.ended} octets, before its end`);
  if ("refused" in received) throw refused(`the answer has ${received.refused}`);
  const { protocols = [NTPV4], aeads = DEFAULT_AEADS, acceptWarnings = [] } = request;
  const answer = new Answer(received.records);
  const warnings = answer.complaints(acceptWarnings);
  const protocol = answer.protocol(protocols, request.draft);
  const aead = answer.aead(aeads);
  const cookies = answer.cookies();
  const compliant = answer.has(RECORD.compliantExporter);
  const keys = await sessionKeys(stream, protocol, aead, compliant);
  const ambiguous = aead === AES_128_GCM_SIV && !compliant;
  return {
    protocol, aead, ...keys, cookies, warnings,
    ...(ambiguous ? { otherKeys: await sessionKeys(stream, protocol, aead, true) } : {}),
    host: answer.server() ?? address,
    port: answer.port() ?? NTP_PORT,
    group: stream.group,
  };
}

/** The records of an answer, each judged as it is asked for. */
class Answer {
  readonly #records: readonly KeRecord[];

  constructor(records: readonly KeRecord[]) {
    this.#records = records;
  }

  #bodies(type: number): Uint8Array[] {
    return this.#records.filter((record) => record.type === type).map(({ body }) => body);
  }

  #body(type: number): Uint8Array | undefined {
    return this.#bodies(type)[0];
  }

  has(type: number): boolean {
    return this.#body(type) !== undefined;
  }

  /** The warnings, all known to the caller. An error MUST end it all; so MUST a warning that is not known. */
  complaints(known: readonly number[]): number[] {
    const error = this.#body(RECORD.error);
    if (error) throw refused(`the server says error ${numberOf(error)}: ${keErrorText(numberOf(error))}`);
    const warnings = this.#bodies(RECORD.warning).map(numberOf);
    const unknown = warnings.find((warning) => !known.includes(warning));
    if (unknown !== undefined) throw refused(`the server warns with code ${unknown}, whose meaning is not known here`);
    return warnings;
  }

  protocol(offered: readonly number[], draft: string | undefined): number {
    const body = this.#body(RECORD.nextProtocol);
    if (!body) throw refused("expected the protocol that the server chose, the answer has none");
    const chosen = numbersOf(body);
    if (chosen.length === 0) throw refused(`the server speaks none of the protocols offered (${offered.join(", ")})`);
    const [protocol] = chosen;
    // RFC 8915 §4.1.2 would allow several; cookies are for one only, and could not be told apart.
    if (chosen.length > 1 || protocol === undefined || !offered.includes(protocol)) throw refused(`expected one protocol out of ${offered.join(", ")}, the server chose ${chosen.join(", ")}`);
    const theirs = this.#body(RECORD.draft);
    if (protocol === NTPV5_DRAFT && theirs && nameOf(theirs) !== draft) throw refused(`expected ${draft} of NTPv5, the server speaks another draft`);
    return protocol;
  }

  aead(offered: readonly number[]): number {
    const body = this.#body(RECORD.aead);
    if (!body) throw refused("expected the AEAD algorithm that the server chose, the answer has none");
    const chosen = numbersOf(body);
    const names = offered.map(aeadName).join(", ");
    if (chosen.length === 0) throw refused(`the server has none of the AEAD algorithms offered (${names})`);
    const [aead] = chosen;
    if (chosen.length > 1 || aead === undefined || !offered.includes(aead)) throw refused(`expected one algorithm out of ${names}, the server chose ${chosen.map(aeadName).join(", ")}`);
    return aead;
  }

  cookies(): Uint8Array[] {
    const cookies = this.#bodies(RECORD.cookie);
    if (cookies.length === 0) throw refused("expected at least one cookie, the answer has none");
    const unfit = cookies.find(({ length }) => length % 4 !== 0 || length > COOKIE_MOST);
    if (unfit) throw refused(`expected cookies of a multiple of 4 and at most ${COOKIE_MOST} octets, got one of ${unfit.length}`);
    return cookies.slice(0, COOKIES_KEPT);
  }

  server(): string | undefined {
    const body = this.#body(RECORD.server);
    return body && nameOf(body);
  }

  port(): number | undefined {
    const body = this.#body(RECORD.port);
    const port = body && numberOf(body);
    if (port === 0) throw refused("expected an NTP port of 1..65535, the server names port 0");
    return port;
  }
}

function refused(why: string): NtpError {
  return new NtpError("NTS_KE", `NTS key establishment failed: ${why}`);
}
