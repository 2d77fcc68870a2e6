// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * ClientHello, and what a ServerHello or HelloRetryRequest may answer (RFC 8446 §4.1).
 *
 *     ClientHello  legacy_version (2)  random (32)  session_id <0..32>  cipher_suites <2..>  compression <1..>  extensions <8..>
 *     ServerHello  legacy_version (2)  random (32)  session_id <0..32>  cipher_suite (2)     compression (1)    extensions <6..>
 *
 * Only TLS 1.3 is offered. A random session id makes the handshake look like a resumption to middleboxes (§D.4) and must come
 * back. Tested in client.test.ts; every refusal with its alert is in docs/tls.md.
 *
 * @module
 */

import { same } from "../octets.ts";
import type { ServerName } from "../x509/names.ts";
import { fail } from "./alert.ts";
import { ascii, concat, number, Reader, vector } from "./codec.ts";
import { EXTENSION, MESSAGE, RETRY_RANDOM, SCHEMES, TLS_1_2, TLS_1_3 } from "./constants.ts";
import { GROUP, type GroupName, type KeyShare } from "./groups.ts";
import { type Suite, SUITES } from "./suites.ts";

/** What the ClientHello says; a second one differs in `shares` and `cookie` only. */
export interface Offer {
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly name: ServerName;
  readonly alpn: readonly string[];
  readonly groups: readonly GroupName[];
  readonly shares: readonly KeyShare[];
  readonly cookie?: Uint8Array | undefined;
}

/** What the server chose. */
export interface ServerHello {
  readonly suite: Suite;
  readonly share: { readonly group: GroupName; readonly data: Uint8Array };
}

export interface RetryRequest {
  readonly suite: Suite;
  readonly group: GroupName | undefined;
  readonly cookie: Uint8Array | undefined;
}

export type Extensions = ReadonlyMap<number, Uint8Array>;

/** The last 8 octets of the random of a server that could do better than TLS 1.2, or 1.1 (§4.1.3). */
const DOWNGRADE = ascii("DOWNGRD");

/** A handshake message: type (1), length (3), body. */
export function handshake(type: number, ...body: readonly Uint8Array[]): Uint8Array {
  return concat(number(1, type), vector(3, ...body));
}

const extension = (type: number, ...data: readonly Uint8Array[]) => concat(number(2, type), vector(2, ...data));
const u16 = (value: number) => number(2, value);

export function clientHello(offer: Offer): Uint8Array {
  const shares = offer.shares.map(({ group, share }) => concat(u16(GROUP[group]), vector(2, share)));
  const extensions = [
    // §4.2.11 of RFC 6066: literal addresses are not asked for.
    ...(offer.name.kind === "dns" ? [extension(EXTENSION.server_name, vector(2, number(1, 0), vector(2, ascii(offer.name.name))))] : []),
    extension(EXTENSION.supported_versions, vector(1, u16(TLS_1_3))),
    extension(EXTENSION.supported_groups, vector(2, ...offer.groups.map((group) => u16(GROUP[group])))),
    extension(EXTENSION.signature_algorithms, vector(2, ...SCHEMES.map(({ id }) => u16(id)))),
    ...(offer.alpn.length > 0 ? [extension(EXTENSION.alpn, vector(2, ...offer.alpn.map((name) => vector(1, ascii(name)))))] : []),
    ...(offer.cookie ? [extension(EXTENSION.cookie, vector(2, offer.cookie))] : []),
    extension(EXTENSION.key_share, vector(2, ...shares)),
  ];
  const head = [u16(TLS_1_2), offer.random, vector(1, offer.sessionId)];
  const suites = vector(2, ...SUITES.map(({ id }) => u16(id)));
  return handshake(MESSAGE.client_hello, ...head, suites, vector(1, number(1, 0)), vector(2, ...extensions));
}

/**
 * A list of extensions in a message. Each may come once; one that we did not offer is refused with unsupported_extension, one
 * that we did but that has no place in this message with illegal_parameter (§4.2).
 */
export function readExtensions(reader: Reader, message: string, allowed: readonly number[], offered: readonly number[]): Extensions {
  const list = reader.enter(2);
  const found = new Map<number, Uint8Array>();
  while (list.more) {
    const type = list.number(2);
    const data = list.vector(2);
    if (found.has(type)) fail("illegal_parameter", `${message}: extension ${type} is there twice`);
    if (!offered.includes(type)) fail("unsupported_extension", `${message}: extension ${type}, which was not asked for`);
    if (!allowed.includes(type)) fail("illegal_parameter", `${message}: extension ${type}, which has no place here`);
    found.set(type, data);
  }
  return found;
}

/** What of our extensions a server may answer at all. */
export function offeredExtensions(offer: Offer): number[] {
  const { server_name, alpn, cookie, ...always } = EXTENSION;
  const sometimes = [offer.name.kind === "dns" && server_name, offer.alpn.length > 0 && alpn, offer.cookie !== undefined && cookie];
  return [...Object.values(always), ...sometimes.filter((type) => type !== false)];
}

/** A ServerHello, or a HelloRetryRequest in its shape. `retry` is what was asked for before. */
export function readServerHello(body: Uint8Array, offer: Offer, retry?: RetryRequest): ServerHello | RetryRequest {
  const reader = new Reader(body, "ServerHello");
  const version = reader.number(2);
  const random = reader.bytes(32);
  const sessionId = reader.vector(1, 0, 32);
  const chosen = reader.number(2);
  const compression = reader.number(1);
  const list = reader.more ? reader.vector(2) : new Uint8Array(0);
  reader.end();
  checkVersion(version, random, list);
  const isRetry = same(random, RETRY_RANDOM);
  if (isRetry && retry) fail("unexpected_message", "a second HelloRetryRequest");
  if (!same(sessionId, offer.sessionId)) fail("illegal_parameter", "ServerHello: expected our session id to come back");
  if (compression !== 0) fail("illegal_parameter", `ServerHello: expected no compression, got method ${compression}`);
  const suite = SUITES.find(({ id }) => id === chosen);
  if (!suite) return fail("illegal_parameter", `ServerHello: cipher suite 0x${chosen.toString(16)}, which was not offered`);
  if (retry && suite !== retry.suite) {
    fail("illegal_parameter", `ServerHello: expected ${retry.suite.name} as in the HelloRetryRequest, got ${suite.name}`);
  }
  return isRetry ? readRetry(list, suite, offer) : { suite, share: readShare(list, offer, retry) };
}

/** TLS 1.3 is chosen by an extension; without it the server speaks something older, or somebody made it believe we do. */
function checkVersion(legacy: number, random: Uint8Array, list: Uint8Array): void {
  const reader = new Reader(list, "ServerHello");
  let selected: Uint8Array | undefined;
  while (reader.more) {
    const type = reader.number(2);
    const data = reader.vector(2);
    if (type === EXTENSION.supported_versions) selected = data;
  }
  if (!selected) {
    const sentinel = same(random.subarray(24, 31), DOWNGRADE) && (random[31] ?? 2) < 2;
    if (sentinel) fail("illegal_parameter", "the server was made to believe that we do not speak TLS 1.3: somebody meddles with this connection");
    fail("protocol_version", `expected TLS 1.3, got version 0x${legacy.toString(16)} (0x303 is TLS 1.2)`);
  }
  const version = new Reader(selected, "supported_versions");
  const number = version.number(2);
  version.end();
  if (number === TLS_1_3 && legacy === TLS_1_2) return;
  fail("illegal_parameter", `ServerHello: expected TLS 1.3, got version 0x${number.toString(16)} over 0x${legacy.toString(16)}`);
}

const listReader = (list: Uint8Array, what: string) => new Reader(vector(2, list), what);

function readRetry(list: Uint8Array, suite: Suite, offer: Offer): RetryRequest {
  const { supported_versions, key_share, cookie } = EXTENSION;
  const allowed = [supported_versions, key_share, cookie];
  const extensions = readExtensions(listReader(list, "HelloRetryRequest"), "HelloRetryRequest", allowed, [...offeredExtensions(offer), cookie]);
  const wanted = extensions.get(key_share);
  const cookieData = extensions.get(cookie);
  if (!wanted && !cookieData) fail("illegal_parameter", "a HelloRetryRequest that asks for no change");
  return { suite, group: wanted && retryGroup(wanted, offer), cookie: cookieData && onlyVector(cookieData, "cookie") };
}

function retryGroup(data: Uint8Array, offer: Offer): GroupName {
  const reader = new Reader(data, "key_share");
  const group = groupOf(reader.number(2), offer);
  reader.end();
  if (offer.shares.some((share) => share.group === group)) fail("illegal_parameter", `a HelloRetryRequest for ${group}, of which it has a share`);
  return group;
}

function onlyVector(data: Uint8Array, what: string): Uint8Array {
  const reader = new Reader(data, what);
  const contents = reader.vector(2, 1);
  reader.end();
  return contents;
}

function readShare(list: Uint8Array, offer: Offer, retry: RetryRequest | undefined): ServerHello["share"] {
  const allowed = [EXTENSION.supported_versions, EXTENSION.key_share];
  const extensions = readExtensions(listReader(list, "ServerHello"), "ServerHello", allowed, offeredExtensions(offer));
  const share = extensions.get(EXTENSION.key_share) ?? fail("missing_extension", "ServerHello: expected a key share, got none");
  const reader = new Reader(share, "key_share");
  const group = groupOf(reader.number(2), offer);
  const data = reader.vector(2, 1);
  reader.end();
  if (!offer.shares.some((ours) => ours.group === group)) fail("illegal_parameter", `ServerHello: a share of ${group}, of which we sent none`);
  const asked = retry?.group ?? group;
  if (asked !== group) fail("illegal_parameter", `ServerHello: expected a share of ${asked}, got one of ${group}`);
  return { group, data };
}

function groupOf(id: number, offer: Offer): GroupName {
  return offer.groups.find((name) => GROUP[name] === id) ?? fail("illegal_parameter", `group 0x${id.toString(16)}, which was not offered`);
}
