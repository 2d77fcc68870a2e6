// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement serve` told to end while clients ask on: whatever its sockets had accepted before the signal is answered, and
 * the process ends at once, however much comes afterwards. Plain and with NTS, on the fast path and on the runtime's sockets.
 */
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { ntsRequest, readAnswer, uniqueOf, type Session } from "../support/nts.ts";
import { freshDirectory, writeLines } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";
import { CLI, NODE, lacking, request, until } from "./built.ts";

const HERE = "127.0.0.1";
/** Sockets, and requests of each that are on their way: together less than any receive buffer holds. */
const SOCKETS = 8;
const WINDOW = 8;
/** Answers before the signal: the load has long been steady then. */
const STEADY = 2000;

let directory: string;
let files: { certificate: string; key: string; ca: string };
beforeAll(() => {
  directory = freshDirectory();
  const ca = makeCa();
  const { certificate, key } = issue(ca, { ips: [HERE] });
  files = { certificate: writeLines(directory, "cert.pem", [certificate]), key: writeLines(directory, "key.pem", [key]), ca: ca.certificate };
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Clients that ask again as soon as they are answered, and go on when nobody answers any more. */
class Load {
  readonly #sockets = Array.from({ length: SOCKETS }, () => dgram.createSocket("udp4"));
  readonly #make: (tag: number) => Uint8Array;
  /** Requests that the system has taken, and answers, by their number. */
  readonly taken = new Set<number>();
  readonly answered = new Map<number, Buffer>();
  twice = 0;
  #next = 0;
  #port = 0;
  #over = false;

  constructor(make: (tag: number) => Uint8Array) {
    this.#make = make;
  }

  async start(port: number): Promise<void> {
    this.#port = port;
    for (const socket of this.#sockets) {
      await new Promise<void>((resolve) => socket.bind(0, HERE, resolve));
      socket.on("message", (data) => {
        const tag = data.readUInt32BE(28) - 1;
        if (this.answered.has(tag)) this.twice += 1;
        this.answered.set(tag, data);
        this.#ask(socket);
      });
      for (let i = 0; i < WINDOW; i++) this.#ask(socket);
    }
  }

  #ask(socket: dgram.Socket): void {
    if (this.#over) return;
    const tag = this.#next++;
    socket.send(this.#make(tag), this.#port, HERE, (error) => {
      if (!error) this.taken.add(tag);
    });
  }

  /** Clients do not stop because a server does: as many more as were on their way. */
  again(): void {
    for (const socket of this.#sockets) for (let i = 0; i < WINDOW; i++) this.#ask(socket);
  }

  close(): void {
    this.#over = true;
    for (const socket of this.#sockets) socket.close();
  }
}

interface Announced {
  readonly addresses: readonly [{ readonly port: number }];
  readonly nts?: readonly [{ readonly port: number }];
}

async function start(options: readonly string[]) {
  const child = spawn(NODE, [CLI, "serve", "--stratum", "2", "--json", "--listen", `${HERE}:0`, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += String(data)));
  const ended = new Promise<{ status: number | null; stats: Record<string, number> }>((resolve) =>
    child.once("close", (status) => resolve({ status, stats: (JSON.parse(output.trim().split("\n")[1] ?? "{}") as { stats: Record<string, number> }).stats })),
  );
  await until("the announcement", () => output.includes("\n"));
  return { child, told: JSON.parse(output.split("\n")[0]!) as Announced, ended };
}

/** Load it, send the signal in the middle, and hold it to what it had accepted by then. */
async function endUnderLoad(options: readonly string[], requests: (told: Announced) => Promise<(tag: number) => Uint8Array>): Promise<{ load: Load; before: Set<number> }> {
  const { child, told, ended } = await start(options);
  const load = new Load(await requests(told));
  try {
    await load.start(told.addresses[0].port);
    await until("a steady load", () => load.answered.size >= STEADY);
    load.again();
    // What was just sent has been taken when the event loop has come round.
    await new Promise((resolve) => setImmediate(resolve));
    const before = new Set(load.taken);
    const waiting = [...before].filter((tag) => !load.answered.has(tag)).length;
    const begin = performance.now();
    child.kill("SIGTERM");
    load.again();
    const { status, stats } = await ended;
    // Stopping takes 300 ms at most, and a process with its runtime some more to end; all of it beside a load, on a busy machine.
    expect(performance.now() - begin).toBeLessThan(15_000);
    expect(status).toBe(0);
    expect(waiting, "requests on their way when the signal came").toBeGreaterThan(0);
    await until("the last answers", () => [...before].every((tag) => load.answered.has(tag)), 10_000).catch(() => {});
    expect([...before].filter((tag) => !load.answered.has(tag)), "accepted and lost").toEqual([]);
    expect(load.twice).toBe(0);
    expect(stats).toMatchObject({ dropped: 0, failed: 0 });
    expect(stats["received"]).toBe(stats["answered"]);
    expect(stats["answered"]).toBeGreaterThanOrEqual(before.size);
    return { load, before };
  } finally {
    load.close();
    child.kill("SIGKILL");
  }
}

const WAYS: [string, string[]][] = [
  ["one thread", ["--workers", "1"]],
  ["two threads", ["--workers", "2"]],
  ["the runtime's own sockets in a thread", ["--portable"]],
  ["the runtime's own sockets in the main thread", ["--workers", "0"]],
];

describe.skipIf(lacking !== undefined)("a server process told to end under load loses nothing that it had accepted", () => {
  it.each(WAYS)("with %s", async (_, options) => {
    await endUnderLoad(options, async () => request);
  });

  it.each(WAYS)("with NTS and %s", async (_, options) => {
    let session: Session | undefined;
    const nts = ["--nts-cert", files.certificate, "--nts-key", files.key, "--nts-listen", `${HERE}:0`];
    const { load, before } = await endUnderLoad([...options, ...nts], async (told) => {
      const keys = await establishKeys(await lendHost(), { host: HERE, kePort: told.nts![0].port, ca: files.ca, aeads: [15], pq: "off" });
      session = { aead: keys.aead, c2s: keys.c2s, s2c: keys.s2c };
      return (tag) => ntsRequest(session!, { cookie: keys.cookies[tag % keys.cookies.length]!, unique: uniqueOf(tag), transmitTime: BigInt(tag + 1) });
    });
    // The last ones, answered while it was ending, are as authentic as any.
    for (const tag of [...before].slice(-64)) readAnswer(session!, Uint8Array.from(load.answered.get(tag)!));
  });
});
