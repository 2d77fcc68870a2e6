// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of the public functions over a host. @module */

import { must, mustThrow, type Contract } from "./suite.ts";

const VERSIONS = [3, 4] as const;

export const apiContracts: Contract[] = [
  {
    name: "a server answers over both families, versions 3 and 4, and the offset of its own clock is zero within the bound",
    async check({ api, asked, stamps }) {
      await using own = await asked("good");
      const { port, server } = own;
      must(!server || server.addresses.length === 2, `expected two addresses, got ${JSON.stringify(server?.addresses)}`);
      for (const source of [`127.0.0.1:${port}`, `[::1]:${port}`]) {
        for (const version of VERSIONS) {
          const sample = await api.query(source, { version });
          must(sample.usable, JSON.stringify(sample.problems()));
          must(sample.version === version && sample.stratum === 2 && sample.refid === "192.0.2.1", JSON.stringify(sample));
          must(Math.abs(sample.offset) <= sample.rootDistance, `offset ${sample.offset} is outside ± ${sample.rootDistance}`);
          must(sample.delay > -1e-4 && sample.delay < 1, `delay ${sample.delay}`);
          must(sample.timestamps.t4 === stamps, `expected a ${stamps} stamp t4, got ${sample.timestamps.t4}`);
        }
      }
      if (!server) return;
      // A thread tells its counters now and then.
      for (let turns = 0; turns < 100 && server.stats.answered < 4; turns++) await new Promise((resolve) => setTimeout(resolve, 20));
      must(server.stats.answered === 4 && server.stats.dropped === 0, JSON.stringify(server.stats));
    },
  },
  {
    name: "a server that was not told its stratum is not synchronised",
    async check({ api, asked }) {
      await using server = await asked("untold");
      const sample = await api.query(`127.0.0.1:${server.port}`);
      must(!sample.usable && sample.leap === 3 && sample.stratum === 0, JSON.stringify(sample));
      must(sample.problems().some(({ test }) => test === "test6"), JSON.stringify(sample.problems()));
    },
  },
  {
    name: "the liar among four is found out, and the truth lies within the bound",
    async check({ api, asked }) {
      const servers = await Promise.all((["exact", "early", "late", "liar"] as const).map((name) => asked(name)));
      try {
        const { consensus, entries } = await api.survey(servers.map(({ port }) => `127.0.0.1:${port}`));
        must(entries.map(({ verdict }) => verdict).join() === "survivor,survivor,survivor,falseticker", JSON.stringify(entries));
        must(consensus !== undefined && Math.abs(consensus.offset) <= consensus.uncertainty, JSON.stringify(entries.map(({ sample }) => sample?.offset)));
      } finally {
        await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      }
    },
  },
  {
    name: "a silent address is a TIMEOUT, an abort is ABORTED, a wrong source is INVALID_ARGUMENT, a strange name is DNS",
    async check({ api, asked }) {
      await using nobody = await asked("silent");
      const silent = `127.0.0.1:${nobody.port}`;
      await mustThrow("TIMEOUT", () => api.query(silent, { timeout: 0.05 }));
      await mustThrow("ABORTED", () => api.query(silent, { signal: AbortSignal.abort() }));
      await mustThrow("INVALID_ARGUMENT", () => api.query("ntp://"));
      await mustThrow("DNS", () => api.query("no-such-host.invalid"));
      await mustThrow("NO_AGREEMENT", () => api.now({ sources: [silent], timeout: 0.05 }));
    },
  },
  {
    name: "a name is resolved and all its addresses are tried",
    needs: ["names"],
    async check({ api, asked }) {
      await using server = await asked("exact");
      const sample = await api.query(`localhost:${server.port}`);
      must(sample.usable && sample.source.startsWith("localhost:"), JSON.stringify(sample));
    },
  },
];
