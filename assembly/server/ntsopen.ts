// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Opens the cookies of all requests that were read, and verifies who sent them, side by side: the CMAC chains of different
 * requests are independent, and two run at once (crypto/lanes.ts).
 *
 * A request becomes VERIFIED or REFUSED. Until then nothing of it is believed. Tested in nts.test.ts.
 */

import { AEAD_GCM_SIV, AEAD_TAG, aeadKey, aeadKeyLength, aeadOpen } from "../crypto/aead";
import { aesExpand } from "../crypto/aes";
import { cmacSubkeys, cmacWhole, doubled } from "../crypto/cmac";
import { jobChain, jobChainLast, jobCmac, jobResult, jobsRun, jobsStart } from "../crypto/lanes";
import { AT_COUNTER_KEY, sivCounterMode } from "../crypto/siv";
import { read32 } from "../proto/header";
import { COOKIE_KEYS, COOKIE_KEYS_MAXIMUM, COOKIE_NONCE, COOKIE_TAG, cookieAead, generationOf, generationStart } from "./ntscookies";
import { NTS_OPEN, NTS_READ, NTS_REFUSED, NTS_VERIFIED, NtsRequest, requestAt, requestCount } from "./ntsrequest";
import { REQUEST_CHAIN, REQUEST_CONTEXT, REQUEST_KEYS } from "./ntsrequest";

const ZERO: v128 = i64x2.splat(0);
/** The padding of a text without octets. */
const EMPTY: v128 = i64x2(0x80, 0);

function keysOf(request: NtsRequest): usize {
  return changetype<usize>(request) + REQUEST_KEYS;
}

function contextOf(request: NtsRequest): usize {
  return changetype<usize>(request) + REQUEST_CONTEXT;
}

/** Judge all requests in state READ. */
export function openRequests(): void {
  jobsStart();
  decryptCookies();
  finishCookies();
  compareCookies();
  expandKeys();
  startAuthenticators();
  finishAuthenticators();
  compareAuthenticators();
}

/** Decrypt each cookie; begin the CMACs of its nonce and of its keys. */
function decryptCookies(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_READ) continue;
    const cookie = request.packet + <usize>request.cookieAt;
    const aead = cookieAead(request.cookieLength);
    const generation = aead == 0 ? 0 : generationOf(read32(cookie));
    if (generation == 0) {
      request.state = NTS_REFUSED;
      continue;
    }
    request.aead = aead;
    request.generation = generation;
    const length = 2 * aeadKeyLength(aead);
    const keys = keysOf(request);
    sivCounterMode(generation + AT_COUNTER_KEY, v128.load(cookie, COOKIE_TAG), cookie + COOKIE_KEYS, length, keys);
    request.job = jobChainLast(generation, ZERO, 0, 0, v128.xor(v128.load(cookie, COOKIE_NONCE), cmacWhole(generation)));
    jobChain(generation, ZERO, keys, (length >> 4) - 1);
  }
  jobsRun();
}

/** The last block of S2V, which the nonce and the keys' last block share. */
function finishCookies(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_READ) continue;
    const chain = jobResult(request.job + 1);
    v128.store(changetype<usize>(request), chain, REQUEST_CHAIN);
    request.job = jobChainLast(request.generation, chain, 0, 0, lastOfCookie(request, request.generation, jobResult(request.job)));
  }
  jobsRun();
}

/** What is chained last over a cookie's keys, when `nonce` is the CMAC of its nonce. */
export function lastOfCookie(request: NtsRequest, generation: usize, nonce: v128): v128 {
  const d = v128.xor(generationStart(generation, request.aead), nonce);
  const last = keysOf(request) + <usize>(2 * aeadKeyLength(request.aead)) - 16;
  return v128.xor(v128.xor(v128.load(last), d), cmacWhole(generation));
}

function compareCookies(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_READ) continue;
    const tag = v128.load(request.packet + <usize>request.cookieAt, COOKIE_TAG);
    if (v128.any_true(v128.xor(tag, jobResult(request.job)))) {
      memory.fill(keysOf(request), 0, COOKIE_KEYS_MAXIMUM);
      request.state = NTS_REFUSED;
    } else {
      request.state = NTS_OPEN;
    }
  }
}

/** Requests with a text of their own, and GCM-SIV's, are verified one by one: rare, and quick. */
function isAlone(request: NtsRequest): bool {
  return request.aead == AEAD_GCM_SIV || request.sealedLength != AEAD_TAG;
}

/** Expand the first half of each C2S key, all that is needed to verify a request without text. */
function expandKeys(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_OPEN) continue;
    if (isAlone(request)) {
      request.state = verifyAlone(request) ? NTS_VERIFIED : NTS_REFUSED;
      continue;
    }
    aesExpand(keysOf(request), aeadKeyLength(request.aead) >> 1, contextOf(request));
    request.job = jobChainLast(contextOf(request), ZERO, 0, 0, ZERO);
  }
  jobsRun();
}

/** The text is decrypted in place and not looked at: no field defined for NTPv4 need be hidden in a request. */
function verifyAlone(request: NtsRequest): bool {
  const context = contextOf(request);
  if (!aeadKey(request.aead, keysOf(request), context)) return false;
  const out = request.aead == AEAD_GCM_SIV ? request.sealed : request.sealed + <usize>AEAD_TAG;
  return aeadOpen(
    context, request.packet, request.authenticatorAt, request.nonce, request.nonceLength, request.sealed, request.sealedLength, out,
  ) >= 0;
}

/** S2V's three CMACs: of zero, of all before the authenticator, of the nonce. */
function startAuthenticators(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_OPEN) continue;
    const context = contextOf(request);
    cmacSubkeys(context, jobResult(request.job));
    request.job = jobChainLast(context, ZERO, 0, 0, cmacWhole(context));
    jobCmac(context, request.packet, request.authenticatorAt);
    jobCmac(context, request.nonce, request.nonceLength);
  }
  jobsRun();
}

function finishAuthenticators(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_OPEN) continue;
    const context = contextOf(request);
    const last = v128.xor(v128.xor(doubled(combinedStrings(request.job)), EMPTY), cmacWhole(context));
    request.job = jobChainLast(context, ZERO, 0, 0, last);
  }
  jobsRun();
}

/** S2V before the text, from the results of three jobs: zero, associated data, nonce (RFC 5297 §2.4). */
export function combinedStrings(job: i32): v128 {
  const d = v128.xor(doubled(jobResult(job)), jobResult(job + 1));
  return v128.xor(doubled(d), jobResult(job + 2));
}

function compareAuthenticators(): void {
  for (let i = 0; i < requestCount(); i++) {
    const request = requestAt(i);
    if (request.state != NTS_OPEN) continue;
    const wrong = v128.any_true(v128.xor(v128.load(request.sealed), jobResult(request.job)));
    request.state = wrong ? NTS_REFUSED : NTS_VERIFIED;
  }
}
