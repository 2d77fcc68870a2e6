// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What Roughtime costs: answers when 1, 16 or 64 requests share a signature, with noble and with the runtime's own Ed25519;
 * a response verified by a client; SHA-512 in the core. CPU of one thread, no sockets.
 */

import process from "node:process";
import { sha512 as nobleSha512 } from "@noble/hashes/sha2.js";
import { createHash } from "node:crypto";
import { Core } from "../hosts/common/core/core.ts";
import { BatchCore } from "../hosts/common/roughtime/batch.ts";
import { sign, signerOf, type Signer } from "../hosts/common/roughtime/ed25519.ts";
import { delegate, generateKey } from "../hosts/common/roughtime/keys.ts";
import { makeRequest } from "../hosts/common/roughtime/request.ts";
import { verifyResponse } from "../hosts/common/roughtime/response.ts";
import { compare, printResults } from "./measure.ts";

const host = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
const key = generateKey(host);
const MIDPOINT = 1_900_000_000n;
const { seed, certificate } = delegate(host, key, MIDPOINT - 10n, MIDPOINT + 10n);
const requests = Array.from({ length: 64 }, () => makeRequest(key.publicKey, host.random(new Uint8Array(32))));

/** How long each kind of batch is measured, ms. */
const SPAN_MS = 700;

/** Answers per second of CPU time, all threads of the process counted: WebCrypto signs on another. */
async function answersPerCpuSecond(size: number, signer: Signer): Promise<number> {
  const core = new BatchCore(key.publicKey);
  const batch = requests.slice(0, size).map((data) => ({ data, least: 1024, reply: () => {} }));
  const reading = { midpoint: MIDPOINT, radius: 3, certificate, sign: signer };
  const runFor = async (ms: number) => {
    let answered = 0;
    const [start, before] = [performance.now(), process.cpuUsage()];
    while (performance.now() - start < ms) answered += (await core.answer(batch, reading)).answered;
    const { user, system } = process.cpuUsage(before);
    return (answered * 1e6) / (user + system);
  };
  await runFor(SPAN_MS / 2);
  return runFor(SPAN_MS);
}

const runtime = { runtime: "node", version: "26.0.0" } as const;
const signers: [string, Signer][] = [
  ["noble", (context, value) => sign(seed, context, value)],
  ["WebCrypto", await signerOf(runtime, seed)],
];
console.log("\nAnswers per second of CPU time, of all threads (requests of 1036 octets, a signature for each batch)");
for (const [name, signer] of signers) {
  for (const size of [1, 16, 64]) {
    const rate = await answersPerCpuSecond(size, signer);
    console.log(`  ${`batches of ${size}, signed by ${name}`.padEnd(52)} ${Math.round(rate).toLocaleString("en").padStart(10)}`);
  }
}

const answers: Uint8Array[] = [];
await new BatchCore(key.publicKey).answer(requests.map((data, i) => ({ data, least: 0, reply: (answer) => void (answers[i] = answer) })), { midpoint: MIDPOINT, radius: 3, certificate, sign: signers[0]![1] });
const core = new Core();
const [at, out] = [core.constant("SLOTS"), core.constant("SCRATCH")];
core.bytes.set(requests[0]!, at);
printResults("Verifying", "ns per response", compare([
  { name: "both signatures (noble, strict), path of 6, all checks", run: (times) => {
    let valid = 0;
    for (let i = 0; i < times; i++) valid += verifyResponse(answers[i & 63]!, requests[i & 63]!, key.publicKey).answer ? 1 : 0;
    if (valid !== times) throw new Error("a valid response was refused");
    return valid;
  } },
]));
printResults("SHA-512 of a request, 1036 octets", "ns each", compare([
  { name: "the core", run: (times) => {
    for (let i = 0; i < times; i++) {
      core.exports.sha512Start();
      core.exports.sha512Update(at, 1036);
      core.exports.sha512Finish(out);
    }
    return core.u32(out);
  } },
  { name: "noble", run: (times) => {
    let sum = 0;
    for (let i = 0; i < times; i++) sum += nobleSha512(requests[0]!)[0]!;
    return sum;
  } },
  { name: "node:crypto", run: (times) => {
    let sum = 0;
    for (let i = 0; i < times; i++) sum += createHash("sha512").update(requests[0]!).digest()[0]!;
    return sum;
  } },
]));
