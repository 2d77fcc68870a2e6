// SPDX-License-Identifier: MIT OR Apache-2.0
/** Contracts of a host's UDP sockets. @module */

import type { Endpoint } from "../../hosts/node/index.ts";
import { listening, must, type Contract, type Subject } from "./suite.ts";

const SECOND = 1_000_000_000n;

async function exchange(subject: Subject, family: 4 | 6): Promise<void> {
  const a = await listening(subject, family);
  const b = await listening(subject, family);
  try {
    for (const length of [0, 1, 48, 1280]) {
      const data = Uint8Array.from({ length }, (_, i) => i * 7);
      const before = subject.host.clock.now();
      const sent = await a.socket.send(data, b.socket.local);
      const got = await b.next();
      must(got.data.length === length && got.data.every((octet, i) => octet === data[i]), `the ${length} octets changed on the way`);
      must(got.from.port === a.socket.local.port, `expected port ${a.socket.local.port}, got ${got.from.port}`);
      must(got.from.address === (family === 4 ? "127.0.0.1" : "::1"), `got sender ${got.from.address}`);
      must(got.stamp === subject.stamps, `expected a ${subject.stamps} receive stamp, got ${got.stamp}`);
      must(sent.sentNs >= before - SECOND / 1000n && sent.sentNs <= got.receivedNs, `sent at ${sent.sentNs}, received at ${got.receivedNs}`);
      must(got.receivedNs <= subject.host.clock.now(), "received in the future");
    }
  } finally {
    a.socket.close();
    b.socket.close();
  }
}

/** The error that a datagram to a port where nobody listens earns. */
async function refusal({ host }: Subject, nobody: Endpoint): Promise<Error> {
  let report: (error: Error) => void = () => {};
  const reported = new Promise<Error>((resolve) => (report = resolve));
  const handlers = { onDatagram: () => report(new Error("somebody answered")), onError: report };
  const socket = await host.openUdp!({ family: 4, connect: nobody }, handlers, "kernel");
  try {
    await socket.send(new Uint8Array(4)).catch(report);
    return await reported;
  } finally {
    socket.close();
  }
}

export const udpContracts: Contract[] = [
  { needs: ["sockets"], name: "IPv4 sockets carry datagrams of any size with honest stamps", check: (subject) => exchange(subject, 4) },
  { needs: ["sockets"], name: "IPv6 sockets do so, too", check: (subject) => exchange(subject, 6) },
  {
    name: "each socket has a fresh port of its own",
    needs: ["sockets"],
    async check(subject) {
      const sockets = await Promise.all(Array.from({ length: 16 }, () => listening(subject, 4)));
      const ports = new Set(sockets.map(({ socket }) => socket.local.port));
      for (const { socket } of sockets) socket.close();
      must(ports.size === 16 && !ports.has(0), `got ports ${[...ports].join(", ")}`);
    },
  },
  {
    name: "closing twice is harmless, and sending afterwards is refused",
    needs: ["sockets"],
    async check(subject) {
      const { socket } = await listening(subject, 4);
      const { local } = socket;
      socket.close();
      socket.close();
      let refused = false;
      await socket.send(new Uint8Array(4), local).catch(() => (refused = true));
      must(refused, "a closed socket sent");
    },
  },
  {
    name: "a connected socket reports a refusal, where the runtime can",
    needs: ["sockets"],
    async check(subject) {
      if (!subject.reportsRefusal) return;
      const { socket } = await listening(subject, 4);
      const { local } = socket;
      socket.close();
      const error = await refusal(subject, local);
      must(/REFUSED/.test(`${(error as { code?: string }).code} ${error.message}`), `got ${error.message}`);
    },
  },
];
