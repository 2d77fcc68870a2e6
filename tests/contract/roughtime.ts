// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of Roughtime over a host: a server of ours asked by UDP and TCP, a liar caught. @module */

import { askServer, judgeReport, measure, sourceText, verifyResponse, type RoughtimeServerEntry } from "escapement/roughtime";
import type { Asked } from "./servers.ts";
import { must, mustThrow, type Contract } from "./suite.ts";

function entryOf(name: string, { port, publicKey }: Asked): RoughtimeServerEntry {
  return { name, publicKey: publicKey!, addresses: (["udp", "tcp"] as const).map((protocol) => ({ protocol, host: "127.0.0.1", port })) };
}

export const roughtimeContracts: Contract[] = [
  {
    name: "a Roughtime server of ours is asked, over TCP too where the host can connect, and query() gives an authenticated sample",
    async check({ host, api, asked }) {
      await using own = await asked("roughOwn");
      const entry = entryOf("own", own);
      for (const protocol of host.connectTcp ? (["udp", "tcp"] as const) : (["udp"] as const)) {
        const addresses = entry.addresses.filter((address) => address.protocol === protocol);
        const { answer, request, response, transport } = await askServer(host, { ...entry, addresses });
        must(transport === protocol && answer.version === 1 && answer.radius === 3, JSON.stringify({ ...answer, midpoint: 0, notBefore: 0, notAfter: 0 }));
        must(verifyResponse(response, request, entry.publicKey).answer?.midpoint === answer.midpoint, "the same octets are valid again");
        must(verifyResponse(response, request, new Uint8Array(32)).answer === undefined, "and not under another key");
      }
      const sample = await api.query(sourceText(entry));
      must(sample.authenticated && sample.usable && Math.abs(sample.offset) <= sample.rootDistance, JSON.stringify(sample));
    },
  },
  {
    name: "a Roughtime server that lies is proven to, and a port where nobody answers is TIMEOUT or UNREACHABLE",
    async check({ host, api, asked }) {
      await using liar = await asked("roughLiar");
      await using one = await asked("roughOne");
      await using two = await asked("roughTwo");
      const { report } = await measure(host, [entryOf("liar", liar), entryOf("one", one), entryOf("two", two)]);
      must(report !== undefined && judgeReport(report).problems.length === 0, JSON.stringify(report));
      const gone = await asked("roughGone");
      await gone[Symbol.asyncDispose]();
      const error = await askServer(host, entryOf("gone", gone), { timeout: 0.3 }).then(() => undefined, (thrown: { code?: string }) => thrown);
      must(error?.code === "TIMEOUT" || error?.code === "UNREACHABLE", String(error?.code));
      await mustThrow("INVALID_ARGUMENT", () => api.query("roughtime:127.0.0.1"));
    },
  },
];
