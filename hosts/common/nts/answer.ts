// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a key establishment server answers to one request (RFC 8915 §4.1, §4.2): keys are exported and cookies made only for
 * a request that keeps every rule. Knows no sockets and keeps nothing. Tested in answer.test.ts.
 *
 * @module
 */

import type { KeRecord } from "../core/cold.ts";
import type { TlsStream } from "../stream.ts";
import { chooseServer, type NtpServer } from "./direct.ts";
import { sessionKeys } from "./exporter.ts";
import type { Received } from "./receive.ts";
import { AES_128_GCM_SIV, ERROR, NTPV5_DRAFT, RECORD, compliantExporterRecord, draftRecord, endRecord, nameOf, numbersOf, numbersRecord, serverRecord } from "./records.ts";

/** Makes cookies: keys sealed under the server's own, for the client to bring back. The core does it. */
export interface CookieJar {
  /** A fresh one at each call: no two may be equal, or they would tell that two requests are one client's. */
  cookie(aead: number, c2s: Uint8Array, s2c: Uint8Array): Uint8Array;
}

/** What the server offers; checked by the caller. */
export interface AnswerOptions {
  /** Protocols and AEAD algorithms, the preferred ones first. */
  readonly protocols: readonly number[];
  readonly aeads: readonly number[];
  /** The drafts of NTPv5 that protocol 0x8001 may mean here, the preferred one first. */
  readonly drafts?: readonly string[] | undefined;
  readonly jar: CookieJar;
  readonly servers: readonly NtpServer[];
  /** From 0 up to 1. */
  readonly random: () => number;
}

/** How a request ended; the name of a counter. */
export type Outcome = "served" | "nothingInCommon" | "unknownCritical" | "badRequest" | "internalError";

export interface KeAnswer {
  readonly outcome: Outcome;
  readonly records: readonly KeRecord[];
}

/** RFC 8915 §4.1.6: SHOULD be eight. */
const COOKIES = 8;
const NTP_PORT = 123;
/** MUST NOT come from clients (RFC 8915 §4.1.3, §4.1.4, §4.1.6). */
const SERVERS_ONLY: readonly number[] = [RECORD.error, RECORD.warning, RECORD.cookie];

export type Request = Exclude<Received, { ended: number }>;
export type Session = Pick<TlsStream, "exportKey">;

export async function answerTo(request: Request, session: Session, from: string, options: AnswerOptions): Promise<KeAnswer> {
  if ("refused" in request) return request.unknownCritical ? failure("unknownCritical", ERROR.unrecognizedCritical) : badRequest;
  const { records } = request;
  const body = (type: number) => records.find((record) => record.type === type)?.body;
  const protocols = numbersOf(body(RECORD.nextProtocol) ?? new Uint8Array(0));
  const aeads = numbersOf(body(RECORD.aead) ?? new Uint8Array(0));
  if (protocols.length === 0 || aeads.length === 0 || records.some(({ type }) => SERVERS_ONLY.includes(type))) return badRequest;
  const named = body(RECORD.draft);
  // Drafts differ on the wire. Who does not say which is meant may still mean ours: NTPv5's packets say it, too.
  const draft = named ? options.drafts?.find((one) => one === nameOf(named)) : options.drafts?.[0];
  const otherDraft = named !== undefined && draft === undefined;
  const protocol = options.protocols.find((one) => protocols.includes(one) && (one !== NTPV5_DRAFT || !otherDraft));
  // Nothing in common is not an error but an empty list.
  if (protocol === undefined) return nothingInCommon(numbersRecord(RECORD.nextProtocol, true, []));
  const compliant = body(RECORD.compliantExporter) !== undefined;
  const aead = chooseAead(options.aeads, aeads, compliant);
  const chosen = numbersRecord(RECORD.nextProtocol, true, [protocol]);
  if (aead === undefined) return nothingInCommon(chosen, numbersRecord(RECORD.aead, true, []));
  try {
    const wish = body(RECORD.server);
    const server = chooseServer(options.servers, wish && nameOf(wish), from, options.random());
    return { outcome: "served", records: [chosen, ...(await grant({ session, protocol, aead, compliant, jar: options.jar })), ...place(server), ...(protocol === NTPV5_DRAFT && draft ? [draftRecord(draft)] : []), endRecord] };
  } catch {
    // Of our own making: a runtime without an exporter, no key to seal with.
    return failure("internalError", ERROR.internal);
  }
}

/**
 * The first of ours that the client has. AEAD 30 has two exporter contexts in the field, told apart by record 1024: without
 * that record another algorithm is taken, if there is any, which every client derives alike.
 */
function chooseAead(ours: readonly number[], theirs: readonly number[], compliant: boolean): number | undefined {
  const common = ours.filter((aead) => theirs.includes(aead));
  return common.find((aead) => aead !== AES_128_GCM_SIV || compliant) ?? common[0];
}

interface Grant {
  readonly session: Session;
  readonly protocol: number;
  readonly aead: number;
  readonly compliant: boolean;
  readonly jar: CookieJar;
}

async function grant({ session, protocol, aead, compliant, jar }: Grant): Promise<KeRecord[]> {
  const { c2s, s2c } = await sessionKeys(session, protocol, aead, compliant);
  const cookies = Array.from({ length: COOKIES }, () => ({ type: RECORD.cookie, critical: false, body: jar.cookie(aead, c2s, s2c) }));
  const exporter = aead === AES_128_GCM_SIV && compliant ? [compliantExporterRecord] : [];
  return [numbersRecord(RECORD.aead, true, [aead]), ...exporter, ...cookies];
}

/** Critical: who did not understand them would take our cookies to a server that cannot open them. */
function place({ host, port = NTP_PORT }: NtpServer): KeRecord[] {
  return [...(host === undefined ? [] : [serverRecord(true, host)]), ...(port === NTP_PORT ? [] : [numbersRecord(RECORD.port, true, [port])])];
}

function nothingInCommon(...records: readonly KeRecord[]): KeAnswer {
  return { outcome: "nothingInCommon", records: [...records, endRecord] };
}

function failure(outcome: Outcome, code: number): KeAnswer {
  return { outcome, records: [numbersRecord(RECORD.error, true, [code]), endRecord] };
}

const badRequest = failure("badRequest", ERROR.badRequest);
