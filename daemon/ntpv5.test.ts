// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Daemons that follow each other in a ring by NTPv5, as processes: each sees the ring in the reference identifiers that the
 * others tell, whatever its length, and nobody ends up following himself. Tested live: loops of one and of two hops, and what
 * becomes of them when the only true time is gone.
 */

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, describe, expect, it } from "vitest";
import { chronyServer } from "../tests/interop/chrony.ts";
import { reportOf } from "../tests/support/daemon.ts";
import { COMMAND, Peer, eventually, freePort, freshDirectory, loopbackAlias, titled, whySkipped } from "../tests/support/peers.ts";
import type { SourceReport, TrackingReport } from "./report.ts";

const built = existsSync(COMMAND);
const skipped = built ? whySkipped(["chronyd", "chronyc"]) : "a build (node build/build.mjs)";
const directory = freshDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A daemon that serves and follows. */
class Node implements AsyncDisposable {
  readonly address = loopbackAlias();
  readonly name: string;
  port = 0;
  peer!: Peer;

  constructor(name: string) {
    this.name = name;
  }

  async reserve(): Promise<this> {
    this.port = await freePort(this.address);
    return this;
  }

  start(sources: readonly string[]): void {
    const config = join(directory, `${this.name}.toml`);
    const blocks = sources.map((source) => `[[source]]\n${source}\nmin-poll = 0\nmax-poll = 0`);
    writeFileSync(config, [...blocks, "[clock]", 'mode = "virtual"', "[observe]", `socket = "${this.#socket}"`, "[server]", `listen = ["${this.address}"]`, `port = ${this.port}`].join("\n"));
    this.peer = new Peer(process.execPath, [COMMAND, "daemon", "--config", config]);
  }

  get #socket(): string {
    return join(directory, `${this.name}.sock`);
  }

  /** How others write it. */
  get source(): string {
    return `address = "${this.address}:${this.port}"\nversion = 5`;
  }

  ask<T>(topic: string): Promise<T> {
    return reportOf<T>(topic, this.#socket);
  }

  tracking(): Promise<TrackingReport> {
    return this.ask("tracking");
  }

  /** The source that is another node. */
  async sees(other: Node): Promise<SourceReport> {
    const sources = await this.ask<SourceReport[]>("sources");
    return sources.find(({ source }) => source === `${other.address}:${other.port}`)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer?.[Symbol.asyncDispose]();
  }
}

const nodes = (...names: string[]) => Promise.all(names.map((name) => new Node(name).reserve()));

describe.skipIf(skipped !== undefined)(titled("daemons in a ring", skipped), () => {
  it("of two: the one that knows the time does not follow the other, and when it knows it no more neither goes on", async () => {
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    const [first, second] = await nodes("two-first", "two-second");
    await using _first = first!;
    await using _second = second!;
    first!.start([`address = "${server.address}:${server.port}"`, second!.source]);
    second!.start([first!.source]);
    await eventually("the second to follow the first", async () => ((await second!.tracking()).synchronised ? true : undefined), second!.peer);
    const seen = await eventually("the first to see the loop", async () => {
      const source = await first!.sees(second!);
      return source.problems.some((problem) => problem.includes("testG")) ? source : undefined;
    }, first!.peer);
    expect(seen.selection).not.toBe("survivor");
    expect(await first!.tracking()).toMatchObject({ synchronised: true, stratum: 2, source: `${server.address}:${server.port}` });
    expect(await second!.tracking()).toMatchObject({ synchronised: true, stratum: 3 });
    await server.peer.stop();
    for (const node of [first, second]) {
      await eventually(`${node!.name} to say that it knows the time no more`, async () => ((await node!.tracking()).synchronised ? undefined : true), node!.peer);
    }
    expect((await first!.tracking()).synchronised).toBe(false);
  });

  it("of three: the loop is seen through a server between, and who only follows the ring sees none", async () => {
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    const [first, second, third, outside] = await nodes("three-first", "three-second", "three-third", "three-outside");
    await using _first = first!;
    await using _second = second!;
    await using _third = third!;
    await using _outside = outside!;
    first!.start([`address = "${server.address}:${server.port}"`, third!.source]);
    second!.start([first!.source]);
    third!.start([second!.source]);
    outside!.start([third!.source]);
    // One after the other: nobody is followed before all that he follows is known.
    for (const node of [first, second, third, outside]) {
      await eventually(`${node!.name} to follow`, async () => ((await node!.tracking()).synchronised ? true : undefined), node!.peer);
    }
    await eventually("the first to see the loop", async () => ((await first!.sees(third!)).problems.some((problem) => problem.includes("testG")) ? true : undefined), first!.peer);
    expect((await outside!.tracking()).stratum).toBe(5);
    await eventually("everybody else to follow whom he was told to, without a loop", async () => {
      const seen = await Promise.all(([[second, first], [third, second], [outside, third]] as const).map(([follower, followed]) => follower!.sees(followed!)));
      return seen.every(({ selection, problems }) => selection === "survivor" && problems.length === 0) ? true : undefined;
    }, outside!.peer);
    expect(await first!.tracking()).toMatchObject({ synchronised: true, stratum: 2 });
  });
});
