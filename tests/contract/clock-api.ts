// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of startClock and watch over a host. @module */

import { NTP_SERVERS } from "./servers.ts";
import { must, type Contract } from "./suite.ts";

const NS = 1e9;

export const clockApiContracts: Contract[] = [
  {
    name: "startClock finds a server's time, 0.25 s ahead of ours, holds it within its bound, and never goes backwards",
    needs: ["life"],
    async check({ api, host, asked }) {
      const ahead = NTP_SERVERS.ahead[1];
      await using server = await asked("ahead");
      const clock = await api.startClock({ sources: [`127.0.0.1:${server.port}`], minPoll: 0, maxPoll: 0, timeout: 60 });
      try {
        let last = clock.nowNs();
        for (let i = 0; i < 50; i++) {
          const before = host.clock.now() + ahead;
          const now = clock.nowNs();
          const after = host.clock.now() + ahead;
          must(now >= last, `${now} came after ${last}`);
          last = now;
          // At the least: it was read at some moment between the two.
          const error = Number(now < before ? now - before : now > after ? now - after : 0n) / NS;
          must(Math.abs(error) <= clock.uncertainty + 1e-3, `off by ${error} s, but the bound is ${clock.uncertainty} s`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        must(clock.synchronised && clock.state.stratum === 2, JSON.stringify(clock.state, (_, value) => (typeof value === "bigint" ? String(value) : value)));
      } finally {
        clock.close();
      }
    },
  },
  {
    name: "watch yields states until the loop is left",
    needs: ["life"],
    async check({ api, asked }) {
      await using server = await asked("exact");
      let states = 0;
      for await (const state of api.watch({ sources: [`127.0.0.1:${server.port}`], minPoll: 0, maxPoll: 0 })) {
        must(state.sources.length === 1, JSON.stringify(state.sources.length));
        if (++states === 2) break;
      }
    },
  },
];
