// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The contract suite where no command can run it: in a page and a worker of Chromium, and in workerd. The servers that it asks
 * run on Node, and a relay of ours carries what it asks them.
 *
 * @module
 */

import { createApi, lendHost } from "../../hosts/node/index.ts";
import { startRelay } from "../../hosts/common/relay/index.ts";
import { chromiumPath, openBrowser, openPage, openStage } from "../browser/stage.ts";
import { missingWorkerd, startWorkerd } from "../edge/workerd.ts";
import type { Report } from "./all.ts";
import { elsewhere, SERVER_NAMES, startServer, type Asked, type Elsewhere, type ServerName } from "./servers.ts";

/** One way of running the suite. */
export interface BesideRun {
  readonly name: string;
  /** Why it cannot happen here. */
  readonly missing: string | undefined;
  report(): Promise<Report>;
}

const PLENTY = 10_000;

/** With all servers, and a relay to them. */
async function withServers<T>(act: (relay: string, servers: Elsewhere) => Promise<T>): Promise<T> {
  const host = await lendHost();
  const api = createApi(async () => host);
  const started = new Map<ServerName, Asked>();
  try {
    for (const name of SERVER_NAMES) started.set(name, await startServer(host, api.serve, name));
    const ports = [...started.values()].map(({ port }) => port);
    // Nobody is there any more.
    await started.get("roughGone")![Symbol.asyncDispose]();
    await using relay = await startRelay(host, {
      listen: { address: "127.0.0.1", port: 0 },
      allow: [...ports.flatMap((port) => [`127.0.0.1:${port}`, `[::1]:${port}`]), "no-such-host.invalid:123"],
      limits: { rate: PLENTY, burst: PLENTY, connectionsPerAddress: 64 },
    });
    return await act(`ws://127.0.0.1:${relay.local.port}/`, elsewhere(started));
  } finally {
    await Promise.all([...started.values()].map((server) => server[Symbol.asyncDispose]()));
  }
}

const inChromium = (where: "page" | "worker"): Promise<Report> =>
  withServers(async (relay, servers) => {
    const browser = await openBrowser();
    try {
      await using stage = await openStage({ connect: [relay] });
      return await (await openPage(browser, stage)).run("suite", { relay, servers }, where);
    } finally {
      await browser.close();
    }
  });

const inWorkerd = (): Promise<Report> =>
  withServers(async (RELAY, servers) => {
    await using worker = await startWorkerd("tests/contract/worker-main.ts", { RELAY, SERVERS: JSON.stringify(servers) });
    const response = await fetch(`${worker.url}contract`);
    const text = await response.text();
    if (!response.ok) throw new Error(`workerd answered ${response.status}: ${text}`);
    return JSON.parse(text) as Report;
  });

const noChromium = chromiumPath() === undefined ? "no Chromium; npm run peers installs it" : undefined;

export const BESIDE: readonly BesideRun[] = [
  { name: "Chromium, a page", missing: noChromium, report: () => inChromium("page") },
  { name: "Chromium, a worker", missing: noChromium, report: () => inChromium("worker") },
  { name: "workerd", missing: missingWorkerd(), report: inWorkerd },
];
