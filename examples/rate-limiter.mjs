// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server that answers each client so often and no more, and what becomes of one that asks too often.
 *
 *     node examples/rate-limiter.mjs
 *
 * On loopback, with its own impatient client: three answers at once are granted, then a kiss RATE, then silence. Whoever may
 * ask at all is up to `access`. docs/server.md has all figures.
 */

import { query, serve } from "escapement";

const server = await serve({
  listen: ["127.0.0.1"],
  port: 0,
  stratum: 10,
  access: ["allow 127.0.0.0/8", "deny all"],
  // By default one in four of what is over the limit is answered all the same: whoever forges a client's address must not be
  // able to keep it from getting time. Here no chance is wanted.
  rateLimit: { interval: 16, burst: 3, leak: 0 },
});

const source = `127.0.0.1:${server.addresses[0].port}`;
for (let i = 1; i <= 5; i++) {
  const told = await query(source, { timeout: 2 }).then(
    ({ usable, kiss, poll }) => (usable ? "the time" : `a kiss ${kiss}: not more often than every ${2 ** poll} s`),
    (error) => error.code,
  );
  console.log(`request ${i}: ${told}`);
}

const [client] = await server.clients();
console.log(`${client.address} asked ${client.requests} times, ${client.dropped} of them in vain`);
await server.close();
const { answered, limited, kissesRate } = server.counters;
console.log(`${answered} answers, ${kissesRate} of them a kiss; ${limited} met silence`);
