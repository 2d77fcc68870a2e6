// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of Roughtime over a host: a server of ours asked by UDP and TCP, a liar caught. @module */

import { askServer, delegations, generateKey, judgeReport, measure, serveRoughtime, sourceText, verifyResponse, type RoughtimeServerEntry } from "escapement/roughtime";
import { must, mustThrow, type Contract, type Subject } from "./suite.ts";

interface Served extends AsyncDisposable {
  readonly entry: RoughtimeServerEntry;
}

/** A server whose clock is `ahead` seconds ahead. */
async function served({ host }: Subject, name: string, ahead = 0): Promise<Served> {
  const key = generateKey(host);
  const start = BigInt(Math.floor(Date.now() / 1000) + ahead);
  const clock = () => host.clock.now() + BigInt(ahead) * 1_000_000_000n;
  const server = await serveRoughtime(host, {
    listen: [{ address: "127.0.0.1", port: 0 }], keys: delegations(host, key, { start, days: 1, count: 1 }), radius: () => 0.01, grease: 0, clock,
  });
  const { port } = server.addresses[0]!;
  const addresses = (["udp", "tcp"] as const).map((protocol) => ({ protocol, host: "127.0.0.1", port }));
  return { entry: { name, publicKey: key.publicKey, addresses }, [Symbol.asyncDispose]: () => server.close() };
}

export const roughtimeContracts: Contract[] = [
  {
    name: "a Roughtime server of ours is asked, over TCP too where the host can connect, and query() gives an authenticated sample",
    async check(subject) {
      const { host, api } = subject;
      await using own = await served(subject, "own");
      for (const protocol of host.connectTcp ? (["udp", "tcp"] as const) : (["udp"] as const)) {
        const addresses = own.entry.addresses.filter((address) => address.protocol === protocol);
        const { answer, request, response, transport } = await askServer(host, { ...own.entry, addresses });
        must(transport === protocol && answer.version === 1 && answer.radius === 3, JSON.stringify({ ...answer, midpoint: 0, notBefore: 0, notAfter: 0 }));
        must(verifyResponse(response, request, own.entry.publicKey).answer?.midpoint === answer.midpoint, "the same octets are valid again");
        must(verifyResponse(response, request, new Uint8Array(32)).answer === undefined, "and not under another key");
      }
      const sample = await api.query(sourceText(own.entry));
      must(sample.authenticated && sample.usable && Math.abs(sample.offset) <= sample.rootDistance, JSON.stringify(sample));
    },
  },
  {
    name: "a Roughtime server that lies is proven to, and a port where nobody answers is TIMEOUT or UNREACHABLE",
    async check(subject) {
      await using liar = await served(subject, "liar", 3600);
      await using one = await served(subject, "one");
      await using two = await served(subject, "two");
      const { report } = await measure(subject.host, [liar.entry, one.entry, two.entry]);
      must(report !== undefined && judgeReport(report).problems.length === 0, JSON.stringify(report));
      const gone = await served(subject, "gone");
      await gone[Symbol.asyncDispose]();
      const error = await askServer(subject.host, gone.entry, { timeout: 0.3 }).then(() => undefined, (error: { code?: string }) => error);
      must(error?.code === "TIMEOUT" || error?.code === "UNREACHABLE", String(error?.code));
      await mustThrow("INVALID_ARGUMENT", () => subject.api.query("roughtime:127.0.0.1"));
    },
  },
];
