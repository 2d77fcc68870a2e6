// SPDX-License-Identifier: MIT OR Apache-2.0
/** One-time passwords (RFC 6238, SHA-1, 30 s, six digits) that are right on a computer whose clock is not. */

import { theClock } from "./bundler.js";

const STEP_SECONDS = 30;

/** `secret`: octets. Gives the code, and for how many seconds it is good. */
export async function oneTimePassword(secret, relay) {
  const seconds = (await theClock(relay)).now().getTime() / 1000;
  return { code: await codeAt(secret, seconds), left: STEP_SECONDS - (seconds % STEP_SECONDS) };
}

export async function codeAt(secret, seconds) {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(seconds / STEP_SECONDS)));
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const mac = new DataView(await crypto.subtle.sign("HMAC", key, counter));
  const at = mac.getUint8(19) & 15;
  return String((mac.getUint32(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
