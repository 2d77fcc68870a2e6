// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of a host's clock. @module */

import { must, mustThrow, type Contract } from "./suite.ts";

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
  {
    name: "the system's clock is read where C can be called on Linux, and steered by who may; nothing is changed; elsewhere it is UNSUPPORTED",
    async check({ host, createApi, stamps }) {
      const { openSystemClock } = createApi(async () => host);
      if (stamps !== "kernel") {
        for (const readOnly of [true, false]) must((await mustThrow("UNSUPPORTED", () => openSystemClock({ readOnly }))).message.includes("system clock"), "expected a reason");
        return;
      }
      const clock = await openSystemClock({ readOnly: true });
      const before = clock.status();
      must(Number.isFinite(before.ratePpm) && before.maximumError! > 0 && Array.isArray(before.flags), JSON.stringify(before));
      await mustThrow("CLOCK", () => clock.slew(1));
      const steered = await openSystemClock().catch((error: { code?: string; message: string }) => {
        must(error.code === "CLOCK" && error.message.includes("CAP_SYS_TIME"), error.message);
      });
      if (steered) {
        await mustThrow("INVALID_ARGUMENT", async () => steered.setFrequencyPpm(501));
        must(steered.limits.frequencyPpm === 500, JSON.stringify(steered.limits));
        steered.close();
      }
      must(clock.status().ratePpm === before.ratePpm, `expected ${before.ratePpm} ppm as before, got ${clock.status().ratePpm}`);
      clock.close();
    },
  },
];
