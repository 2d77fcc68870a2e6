// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What authenticating an NTS packet costs: verify a request's authenticator (188 octets before it, a nonce of 16, no text),
 * and seal a reply's with one cookie; keys expanded anew each time, as a server must, against noble in the same run.
 */

import { aessiv, cmac, gcmsiv } from "@noble/ciphers/aes.js";
import { Core } from "../hosts/common/core/core.ts";
import { compare, printResults, type Contender } from "./measure.ts";

const REQUEST_AD = 188;
const REPLY_AD = 48 + 36;
const COOKIE_FIELD = 104;
const octets = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 73 + seed) & 0xff);

const core = new Core();
const { exports } = core;
const [context, keyAt, ad, nonce, text, out] = [0, 1, 2, 3, 4, 5].map((i) => core.constant("SLOTS") + i * core.constant("SLOT_STRIDE_OCTETS")) as [number, number, number, number, number, number];
for (const at of [keyAt, ad, nonce, text]) core.bytes.set(octets(512, at), at);
const key = (id: number) => core.bytes.slice(keyAt, keyAt + exports.aeadKeyLength(id));
const slice = (at: number, length: number) => core.bytes.slice(at, at + length);
const cipher = (id: number, adLength: number) =>
  id === 30 ? gcmsiv(key(id), slice(nonce, 12), slice(ad, adLength)) : aessiv(key(id), slice(ad, adLength), slice(nonce, 16));

function verifying(id: number): Contender[] {
  const nonceLength = exports.aeadNonceLength(id);
  const sealed = cipher(id, REQUEST_AD).encrypt(new Uint8Array(0));
  const at = out + 512;
  core.bytes.set(sealed, at + 32 * (id - 14));
  return [
    {
      name: `core, AEAD ${id}`,
      run(times) {
        let lengths = 0;
        for (let i = 0; i < times; i++) {
          exports.aeadKey(id, keyAt, context);
          lengths += exports.aeadOpen(context, ad, REQUEST_AD, nonce, nonceLength, at + 32 * (id - 14), 16, out);
        }
        if (lengths !== 0) throw new Error("it did not verify");
        return lengths;
      },
    },
    {
      name: `noble, AEAD ${id}`,
      run(times) {
        let lengths = 0;
        for (let i = 0; i < times; i++) lengths += cipher(id, REQUEST_AD).decrypt(sealed).length;
        return lengths;
      },
    },
  ];
}

function sealing(id: number): Contender[] {
  const nonceLength = exports.aeadNonceLength(id);
  const cookie = slice(text, COOKIE_FIELD);
  return [
    {
      name: `core, AEAD ${id}`,
      run(times) {
        let lengths = 0;
        for (let i = 0; i < times; i++) {
          exports.aeadKey(id, keyAt, context);
          lengths += exports.aeadSeal(context, ad, REPLY_AD, nonce, nonceLength, text, COOKIE_FIELD, out);
        }
        return lengths;
      },
    },
    {
      name: `noble, AEAD ${id}`,
      run(times) {
        let lengths = 0;
        for (let i = 0; i < times; i++) lengths += cipher(id, REPLY_AD).encrypt(cookie).length;
        return lengths;
      },
    },
  ];
}

function macs(): Contender[] {
  const [macKey, data] = [slice(keyAt, 16), slice(text, 48)];
  return [
    { name: "core, AES-128-CMAC", run: (times) => { let n = 0; for (let i = 0; i < times; i++) n += exports.macWrite(4, keyAt, 16, text, 48, out); return n; } },
    { name: "core, SHA-256", run: (times) => { let n = 0; for (let i = 0; i < times; i++) n += exports.macWrite(3, keyAt, 16, text, 48, out); return n; } },
    { name: "core, SHA-1", run: (times) => { let n = 0; for (let i = 0; i < times; i++) n += exports.macWrite(2, keyAt, 16, text, 48, out); return n; } },
    { name: "core, MD5", run: (times) => { let n = 0; for (let i = 0; i < times; i++) n += exports.macWrite(1, keyAt, 16, text, 48, out); return n; } },
    { name: "noble, AES-128-CMAC", run: (times) => { let n = 0; for (let i = 0; i < times; i++) n += cmac(data, macKey).length; return n; } },
  ];
}

for (const id of [15, 17, 30]) {
  printResults(`A request's authenticator verified, AEAD ${id}`, "ns", compare(verifying(id)));
  printResults(`A reply with one cookie sealed, AEAD ${id}`, "ns", compare(sealing(id)));
}
printResults("The MAC of a packet of 48 octets", "ns", compare(macs()));
