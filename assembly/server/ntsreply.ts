// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The answer to an NTS request (RFC 8915 §5.7): the unique identifier, answers to other fields, and an authenticator that
 * holds one fresh cookie for the request's own and one for each placeholder. What could not be verified gets the kiss NTSN.
 *
 * Its length is known before it is sealed: {@link planReply} lays it out, the transmit timestamp is set, and only then
 * {@link sealReplies} makes cookies and authenticator. No answer is longer than its request. Tested in nts.test.ts.
 */

import { AEAD_GCM_SIV, AEAD_TAG, aeadKey, aeadKeyLength, aeadNonceLength, aeadSeal } from "../crypto/aead";
import { aesBlocks, aesExpand } from "../crypto/aes";
import { cmacSubkeys, cmacWhole, doubled, lastBlock } from "../crypto/cmac";
import { jobChain, jobChainLast, jobCmac, jobResult, jobsRun, jobsStart } from "../crypto/lanes";
import { randomBlock } from "../crypto/random";
import { AT_COUNTER_KEY, sivCounterMode, sivCounters, xorOctets } from "../crypto/siv";
import { FIELD_HEADER, fieldSpan, fieldType } from "../proto/extension";
import { HEADER_LENGTH, versionOf, write32 } from "../proto/header";
import { VERSION_5, writePadding } from "../proto/v5";
import { answerField5 } from "./v5fields";
import { Authenticator, COOKIES_MAXIMUM, COOKIE_TYPE, PLACEHOLDER_TYPE, UNIQUE_IDENTIFIER_TYPE } from "../proto/nts";
import { authenticatorLength, writeAuthenticator } from "../proto/nts";
import { answerField } from "../proto/registry";
import { COOKIE_KEYS, COOKIE_NONCE, COOKIE_TAG, cookieLength, generationCurrent, generationId } from "./ntscookies";
import { combinedStrings, lastOfCookie } from "./ntsopen";
import { NTS_ANSWERED, NtsRequest, REQUEST_CHAIN, REQUEST_CONTEXT, REQUEST_KEYS, REQUEST_TAIL } from "./ntsrequest";
import { requestAt, requestCount, requestWipe, requestsTrim } from "./ntsrequest";

const ZERO: v128 = i64x2.splat(0);
const EMPTY: v128 = i64x2(0x80, 0);

const authenticator = changetype<Authenticator>(memory.data(offsetof<Authenticator>(), 8));
/** Counter blocks of all cookies of one answer: eight of eight blocks at most. */
const counters: usize = memory.data(8 * 8 * 16, 16);

/** Octets of one cookie with its field's header. */
function cookieField(request: NtsRequest): i32 {
  return FIELD_HEADER + cookieLength(request.aead);
}

/**
 * Lay out the answer to a verified request in its place, all but the header. Returns its length, 0 when there is no room
 * for it.
 */
export function planReply(request: NtsRequest): i32 {
  const five = versionOf(request.packet) == VERSION_5;
  let wanted = 1;
  let out = HEADER_LENGTH;
  for (let at = HEADER_LENGTH; at < request.authenticatorAt; ) {
    const field = request.packet + <usize>at;
    const type = fieldType(field);
    const length = fieldSpan(field);
    if (type == UNIQUE_IDENTIFIER_TYPE) {
      memory.copy(request.packet + <usize>out, field, length);
      out += length;
    } else if (type == PLACEHOLDER_TYPE) {
      if (length >= cookieField(request)) wanted += 1;
    } else if (type != COOKIE_TYPE && five) {
      out += answerField5(field, request.packet + <usize>out);
    } else if (type != COOKIE_TYPE) {
      out += answerField(field, request.packet + <usize>out);
    }
    at += length;
  }
  return planAuthenticator(request, out, min(wanted, COOKIES_MAXIMUM));
}

/** As many of the `wanted` cookies as there is room for: a short nonce, or an answer beside, may have taken some. */
function planAuthenticator(request: NtsRequest, after: i32, wanted: i32): i32 {
  let at = after;
  const nonceLength = aeadNonceLength(request.aead);
  const room = request.length - at - authenticatorLength(nonceLength, 0);
  if (room < 0) return 0;
  request.sealing = generationCurrent();
  const cookies = request.sealing == 0 ? 0 : min(wanted, room / cookieField(request));
  const textLength = cookies * cookieField(request);
  const length = authenticatorLength(nonceLength, textLength);
  // In NTPv5 an answer has as many octets as its request.
  const gap = request.length - at - length;
  if (versionOf(request.packet) == VERSION_5 && gap > 0) {
    writePadding(request.packet + <usize>at, gap);
    at += gap;
  }
  writeAuthenticator(request.packet + <usize>at, length, nonceLength, textLength, authenticator);
  request.nonce = authenticator.nonce;
  request.nonceLength = nonceLength;
  request.sealed = authenticator.sealed;
  request.sealedLength = authenticator.sealedLength;
  request.adLength = at;
  request.cookies = cookies;
  request.state = NTS_ANSWERED;
  if (request.behind != 0) {
    const correction = request.packet + <usize>request.length;
    answerField5(correction, correction);
  }
  return at + length + request.behind;
}

/** The fields of an NTSN kiss: the unique identifier alone. Returns the answer's length; the header is the caller's. */
export function kissReply(request: NtsRequest): i32 {
  memory.copy(request.packet + <usize>HEADER_LENGTH, request.packet + <usize>request.uniqueAt, request.uniqueLength);
  const length = HEADER_LENGTH + request.uniqueLength;
  requestWipe(request);
  return length;
}

/** Where the text of the answer stands, before and after it is encrypted. */
function textOf(request: NtsRequest): usize {
  return request.aead == AEAD_GCM_SIV ? request.sealed : request.sealed + <usize>AEAD_TAG;
}

function textLengthOf(request: NtsRequest): i32 {
  return request.sealedLength - AEAD_TAG;
}

function contextOf(request: NtsRequest): usize {
  return changetype<usize>(request) + REQUEST_CONTEXT;
}

/** Cookie `index` of the answer. */
function cookieAt(request: NtsRequest, index: i32): usize {
  return textOf(request) + <usize>(index * cookieField(request) + FIELD_HEADER);
}

function isDue(request: NtsRequest, only: usize): bool {
  return request.state == NTS_ANSWERED && (only == 0 || request.packet == only);
}

/** Seal the answer that stands at `only`, or all of them if that is 0. Their transmit timestamps MUST have been set. */
export function sealReplies(only: usize): void {
  if (requestCount() == 0) return;
  jobsStart();
  startReplies(only);
  chainReplies(only);
  chainTexts(only);
  finishReplies(only);
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (!isDue(request, only)) continue;
    if (request.aead == AEAD_GCM_SIV) sealAlone(request);
    else encryptText(request);
    requestWipe(request);
  }
  requestsTrim();
}

/** Random nonces and their CMACs; the S2C key. Jobs: the key's subkeys, the cookies' common chain, each cookie's nonce. */
function startReplies(only: usize): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (!isDue(request, only)) continue;
    const keys = changetype<usize>(request) + REQUEST_KEYS;
    const keyLength = aeadKeyLength(request.aead);
    const context = contextOf(request);
    if (request.aead != AEAD_GCM_SIV) {
      const half = keyLength >> 1;
      aesExpand(keys + <usize>keyLength, half, context);
      aesExpand(keys + <usize>(keyLength + half), half, context + AT_COUNTER_KEY);
      request.job = jobChainLast(context, ZERO, 0, 0, ZERO);
    } else {
      request.job = jobChain(0, ZERO, 0, 0);
    }
    // A chain of no blocks, when it is known from opening the request's own cookie, or there is no cookie to make.
    const isKnown = request.cookies == 0 || request.sealing == request.generation;
    const start = isKnown ? v128.load(changetype<usize>(request), REQUEST_CHAIN) : ZERO;
    jobChain(request.sealing, start, keys, isKnown ? 0 : ((2 * keyLength) >> 4) - 1);
    startCookies(request);
    storeNonce(request);
  }
  jobsRun();
}

function startCookies(request: NtsRequest): void {
  for (let c = 0; c < request.cookies; c++) {
    const cookie = cookieAt(request, c);
    const nonce = randomBlock();
    store<u16>(cookie - 4, bswap<u16>(<u16>COOKIE_TYPE));
    store<u16>(cookie - 2, bswap<u16>(<u16>cookieField(request)));
    write32(cookie, generationId(request.sealing));
    v128.store(cookie, nonce, COOKIE_NONCE);
    jobChainLast(request.sealing, ZERO, 0, 0, v128.xor(nonce, cmacWhole(request.sealing)));
  }
}

/** The nonce of the answer: sixteen random octets, or as many of them as its AEAD takes. */
function storeNonce(request: NtsRequest): void {
  const nonce = randomBlock();
  if (request.nonceLength == 16) {
    v128.store(request.nonce, nonce);
  } else {
    store<u64>(request.nonce, v128.extract_lane<u64>(nonce, 0));
    store<u32>(request.nonce, v128.extract_lane<u32>(nonce, 2), 8);
  }
}

/** Jobs: each cookie's last block; then, but for GCM-SIV, zero, associated data and nonce. */
function chainReplies(only: usize): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (!isDue(request, only)) continue;
    const before = request.job;
    const context = contextOf(request);
    const chain = jobResult(before + 1);
    // Held in the order of jobs: the first job of this stage is the first cookie's, or zero's when there are none.
    let first = -1;
    for (let c = 0; c < request.cookies; c++) {
      const last = lastOfCookie(request, request.sealing, jobResult(before + 2 + c));
      const job = jobChainLast(request.sealing, chain, 0, 0, last);
      if (first < 0) first = job;
    }
    if (request.aead != AEAD_GCM_SIV) {
      cmacSubkeys(context, jobResult(before));
      const job = jobChainLast(context, ZERO, 0, 0, cmacWhole(context));
      jobCmac(context, request.packet, request.adLength);
      jobCmac(context, request.nonce, request.nonceLength);
      if (first < 0) first = job;
    }
    request.job = first;
  }
  jobsRun();
}

/** The cookies get their tags and are encrypted: the text is whole. Job: its CMAC up to where S2V comes in. */
function chainTexts(only: usize): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (!isDue(request, only)) continue;
    encryptCookies(request);
    if (request.aead == AEAD_GCM_SIV) continue;
    const d = combinedStrings(request.job + request.cookies);
    v128.store(changetype<usize>(request), d, REQUEST_TAIL);
    const length = textLengthOf(request);
    const before = length < 16 ? 0 : (length - 16) >> 4;
    request.job = jobChain(contextOf(request), ZERO, textOf(request), before);
  }
  jobsRun();
}

function encryptCookies(request: NtsRequest): void {
  const keys = changetype<usize>(request) + REQUEST_KEYS;
  const length = 2 * aeadKeyLength(request.aead);
  const blocks = length >> 4;
  for (let c = 0; c < request.cookies; c++) {
    const tag = jobResult(request.job + c);
    v128.store(cookieAt(request, c), tag, COOKIE_TAG);
    sivCounters(tag, 0, counters + <usize>(c * length), blocks);
  }
  aesBlocks(request.sealing + AT_COUNTER_KEY, counters, request.cookies * blocks);
  for (let c = 0; c < request.cookies; c++) xorOctets(cookieAt(request, c) + COOKIE_KEYS, counters + <usize>(c * length), keys, length);
}

/** S2V's last blocks (RFC 5297 §2.4): the text's end with what came of the other strings, or padding without a text. */
function finishReplies(only: usize): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (!isDue(request, only) || request.aead == AEAD_GCM_SIV) continue;
    const context = contextOf(request);
    const tail = changetype<usize>(request) + REQUEST_TAIL;
    const d = v128.load(tail);
    const length = textLengthOf(request);
    const chain = jobResult(request.job);
    if (length == 0) {
      request.job = jobChainLast(context, ZERO, 0, 0, v128.xor(v128.xor(doubled(d), EMPTY), cmacWhole(context)));
      continue;
    }
    const rest = 16 + (length & 15);
    memory.copy(tail, textOf(request) + <usize>(length - rest), rest);
    const end = tail + <usize>(rest - 16);
    v128.store(end, v128.xor(v128.load(end), d));
    const blocks = (rest - 1) >> 4;
    request.job = jobChainLast(context, chain, tail, blocks, lastBlock(context, tail + <usize>(blocks << 4), rest - (blocks << 4)));
  }
  jobsRun();
}

function encryptText(request: NtsRequest): void {
  const iv = jobResult(request.job);
  const text = textOf(request);
  sivCounterMode(contextOf(request) + AT_COUNTER_KEY, iv, text, textLengthOf(request), text);
  v128.store(request.sealed, iv);
}

function sealAlone(request: NtsRequest): void {
  const context = contextOf(request);
  const text = textOf(request);
  aeadKey(request.aead, changetype<usize>(request) + REQUEST_KEYS + <usize>aeadKeyLength(request.aead), context);
  aeadSeal(context, request.packet, request.adLength, request.nonce, request.nonceLength, text, textLengthOf(request), request.sealed);
}
