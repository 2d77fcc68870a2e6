// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Two hosts that tell each other the time (RFC 5905 §3): whichever knows it better leads.
 *
 *     node examples/symmetric.mjs PEER[:PORT] PORT [SOURCE...]        for instance, on 192.0.2.1 and on 192.0.2.2:
 *     node examples/symmetric.mjs 192.0.2.2:1123 1123 time.example.org
 *     node examples/symmetric.mjs 192.0.2.1:1123 1123
 *
 * PORT is ours, which the other side must have configured. Without SOURCE we know only what the peer tells. Nothing here is
 * authenticated: whoever can send with the peer's address has a say. Ends after 60 s; SECONDS=600 in the environment for longer,
 * POLL=6 for a packet each way every 2^6 s.
 */

import process from "node:process";
import { watch } from "escapement";

const [peer, port, ...servers] = process.argv.slice(2);
if (!peer || !port) {
  console.error("usage: node examples/symmetric.mjs PEER[:PORT] PORT [SOURCE...]");
  process.exit(2);
}

const poll = Number(process.env.POLL ?? 2);
const sources = [{ source: peer, mode: "symmetric", minPoll: poll, maxPoll: poll }, ...servers];
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { synchronised, stratum, refid, uncertainty, sources: states } of watch({ sources, peering: { port: Number(port) }, signal })) {
  const [{ used, selection, lastProblems }] = states;
  // Of two that follow each other one must not: the one that sees that the peer's time comes from itself (testG).
  const why = lastProblems.map(({ message }) => `, ${message}`).join("");
  console.log(`${synchronised ? `stratum ${stratum} by ${refid}, ± ${uncertainty.toFixed(6)} s` : "not synchronised yet"}; the peer: ${used} samples, ${selection}${why}`);
}
