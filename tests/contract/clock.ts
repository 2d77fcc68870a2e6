// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of a host's clock. @module */

import { must, type Contract } from "./suite.ts";

const MS = 1_000_000n;
/** A runtime may make Date.now of a monotonic timer and an anchor of its own, a little beside the system's clock. */
const SLACK = 100_000n;

export const clockContracts: Contract[] = [
  {
    name: "the wall clock lies within the millisecond that Date.now tells",
    check({ host: { clock } }) {
      clock.now();
      for (let i = 0; i < 2000; i++) {
        const before = BigInt(Date.now()) * MS;
        const now = clock.now();
        const after = (BigInt(Date.now()) + 1n) * MS;
        must(now >= before - SLACK && now <= after + SLACK, `expected ${before}..${after}, got ${now}`);
      }
    },
  },
  {
    name: "the monotonic clock never goes backwards",
    check({ host: { clock } }) {
      let last = clock.monotonic();
      for (let i = 0; i < 5000; i++) {
        const next = clock.monotonic();
        must(next >= last, `${next} came after ${last}`);
        last = next;
      }
    },
  },
  {
    name: "the precision is measured, or known: no coarser than a millisecond, coarser than a picosecond",
    check({ host: { clock } }) {
      must(clock.precision > 1e-12 && clock.precision <= 1e-3, `got ${clock.precision} s`);
    },
  },
];
