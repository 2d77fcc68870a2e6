// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of the public functions over a host. @module */

import { listening, must, mustThrow, type Contract } from "./suite.ts";

const VERSIONS = [3, 4] as const;

export const apiContracts: Contract[] = [
  {
    name: "a server answers over both families, versions 3 and 4, and the offset of its own clock is zero within the bound",
    async check({ api, stamps }) {
      await using server = await api.serve({ port: 0, stratum: 2, refid: "192.0.2.1", rootDispersion: 0.001 });
      must(server.addresses.length === 2, `expected two addresses, got ${JSON.stringify(server.addresses)}`);
      const port = server.addresses[0]!.port;
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
      // A thread tells its counters now and then.
      for (let turns = 0; turns < 100 && server.stats.answered < 4; turns++) await new Promise((resolve) => setTimeout(resolve, 20));
      must(server.stats.answered === 4 && server.stats.dropped === 0, JSON.stringify(server.stats));
    },
  },
  {
    name: "a server that was not told its stratum is not synchronised",
    async check({ api }) {
      await using server = await api.serve({ port: 0 });
      const sample = await api.query(`127.0.0.1:${server.addresses[0]!.port}`);
      must(!sample.usable && sample.leap === 3 && sample.stratum === 0, JSON.stringify(sample));
      must(sample.problems().some(({ test }) => test === "test6"), JSON.stringify(sample.problems()));
    },
  },
  {
    name: "the liar among four is found out, and the truth lies within the bound",
    async check({ api, host }) {
      const errors = [0n, 200_000n, -300_000n, 500_000_000n];
      const servers = await Promise.all(
        errors.map((error) => api.serve({ listen: ["127.0.0.1"], port: 0, stratum: 1, rootDispersion: 0.0005, clock: () => host.clock.now() + error })),
      );
      try {
        const { consensus, entries } = await api.survey(servers.map(({ addresses }) => `127.0.0.1:${addresses[0]!.port}`));
        must(entries.map(({ verdict }) => verdict).join() === "survivor,survivor,survivor,falseticker", JSON.stringify(entries));
        must(consensus !== undefined && Math.abs(consensus.offset) <= consensus.uncertainty, JSON.stringify(entries.map(({ sample }) => sample?.offset)));
      } finally {
        await Promise.all(servers.map((server) => server.close()));
      }
    },
  },
  {
    name: "a silent address is a TIMEOUT, an abort is ABORTED, a wrong source is INVALID_ARGUMENT, a strange name is DNS",
    async check(subject) {
      const { api } = subject;
      const { socket } = await listening(subject, 4);
      const silent = `127.0.0.1:${socket.local.port}`;
      await mustThrow("TIMEOUT", () => api.query(silent, { timeout: 0.05 }));
      await mustThrow("ABORTED", () => api.query(silent, { signal: AbortSignal.abort() }));
      await mustThrow("INVALID_ARGUMENT", () => api.query("ntp://"));
      await mustThrow("DNS", () => api.query("no-such-host.invalid"));
      await mustThrow("NO_AGREEMENT", () => api.now({ sources: [silent], timeout: 0.05 }));
      socket.close();
    },
  },
  {
    name: "a name is resolved and all its addresses are tried",
    async check({ api }) {
      await using server = await api.serve({ listen: ["127.0.0.1"], port: 0, stratum: 3 });
      const sample = await api.query(`localhost:${server.addresses[0]!.port}`);
      must(sample.usable && sample.source.startsWith("localhost:"), JSON.stringify(sample));
    },
  },
];
