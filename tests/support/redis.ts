// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A redis-server that keeps everything in memory and is gone with its test; asked through redis-cli.
 *
 * @module
 */

import { Peer, freeTcpPort, freshDirectory, loopbackAlias, run, untilReady } from "./peers.ts";

export interface Redis extends AsyncDisposable {
  readonly peer: Peer;
  readonly address: string;
  readonly port: number;
  /** `redis://ADDRESS:PORT`. */
  readonly url: string;
  /** What redis-cli prints. */
  ask(...command: string[]): Promise<string>;
}

export async function startRedis(): Promise<Redis> {
  const address = loopbackAlias();
  const port = await freeTcpPort(address);
  const directory = freshDirectory();
  const peer = new Peer("redis-server", ["--bind", address, "--port", String(port), "--dir", directory, "--save", "", "--appendonly", "no"], { owns: [directory] });
  const ask = async (...command: string[]) => (await run("redis-cli", ["-h", address, "-p", String(port), ...command])).stdout.trim();
  await untilReady("redis-server to answer redis-cli", async () => ((await ask("PING")) === "PONG" ? true : undefined), peer);
  return { peer, address, port, url: `redis://${address}:${port}`, ask, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}
