// SPDX-License-Identifier: MIT OR Apache-2.0
/** The observation socket: what it answers, and what it outlives. @module */

import { chmod, lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startObservation, type Observation } from "./observe.ts";

let directory: string;
let socket: string;
let observation: Observation | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "escapement-"));
  socket = join(directory, "run/observe.sock");
});
afterEach(async () => {
  await observation?.close();
  observation = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function start(limits = {}): Promise<void> {
  observation = await startObservation({ socket, topics: ["tracking", "sources"], answer: (topic) => ({ told: topic }), limits });
}

/** Everything the other end says until it closes, to each of `parts` sent a moment apart. */
function say(...parts: string[]): Promise<string> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    let heard = "";
    connection.on("data", (chunk) => (heard += String(chunk)));
    connection.on("error", () => {});
    connection.on("close", () => resolve(heard));
    connection.on("end", () => connection.destroy());
    connection.on("connect", async () => {
      for (const part of parts) {
        connection.write(part);
        await new Promise((sent) => setTimeout(sent, 5));
      }
    });
  });
}

function silent(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket, () => resolve(connection));
    connection.on("error", reject);
  });
}

const closed = (connection: Socket) => new Promise<void>((resolve) => connection.on("close", () => resolve()).resume());

describe("the observation socket", () => {
  it("answers a line with a line", async () => {
    await start();
    expect(await say('{"get":"tracking"}\n')).toBe('{"tracking":{"told":"tracking"}}\n');
  });

  it("takes a request in pieces, and one with more behind it", async () => {
    await start();
    expect(await say('{"get"', ':"sour', 'ces"}\n')).toBe('{"sources":{"told":"sources"}}\n');
    expect(await say('{"get":"sources"}\n{"get":"tracking"}\n', "more")).toBe('{"sources":{"told":"sources"}}\n');
  });

  it.each([["garbage\n"], ["\n"], ["null\n"], ["[]\n"], ['{"get":"constructor"}\n'], ['{"get":{}}\n'], ['{"set":"tracking"}\n'], ["\u0000\u00ff\n"], [`${"[".repeat(1000)}\n`]])("answers %j with what it expected", async (request) => {
    await start();
    expect(await say(request)).toBe('{"error":"expected {\\"get\\": TOPIC} with a TOPIC of tracking, sources"}\n');
  });

  it("refuses a request that is too long, before its end", async () => {
    await start();
    expect(await say("x".repeat(1025))).toContain("at most 1024 octets");
    expect(await say("x".repeat(600), "x".repeat(600))).toContain("at most 1024 octets");
    expect(await say("x".repeat(1 << 20))).toContain("at most 1024 octets");
    expect(await say('{"get":"tracking"}\n')).toContain("told");
  });

  it("closes on who says nothing, and on who stops half-way", async () => {
    await start({ timeMs: 60 });
    const started = performance.now();
    await closed(await silent());
    // Of its own accord it would be after 5 s.
    expect(performance.now() - started).toBeLessThan(4500);
    const half = await silent();
    half.write('{"get":');
    await closed(half);
  });

  it("turns away who is one too many, and takes the next when one has gone", async () => {
    await start({ connections: 3 });
    const held = await Promise.all([silent(), silent(), silent()]);
    expect(await say('{"get":"tracking"}\n')).toBe("");
    held[0]!.destroy();
    await expect.poll(() => say('{"get":"tracking"}\n')).toContain("told");
    for (const connection of held) connection.destroy();
  });

  it("answers many at once", async () => {
    await start();
    const answers = await Promise.all(Array.from({ length: 30 }, () => say('{"get":"tracking"}\n')));
    expect(new Set(answers)).toEqual(new Set(['{"tracking":{"told":"tracking"}}\n']));
  });

  it("outlives clients that vanish in every state", async () => {
    await start();
    for (const text of ["", "{", '{"get":"tracking"}\n']) {
      for (let time = 0; time < 20; time++) {
        const connection = await silent();
        if (text) connection.write(text);
        connection.destroy();
      }
    }
    expect(await say('{"get":"tracking"}\n')).toContain("told");
  });

  it("is for owner and group, and its file goes with it", async () => {
    await start();
    expect((await lstat(socket)).mode & 0o777).toBe(0o660);
    await observation!.close();
    await expect(lstat(socket)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("a socket file that is already there", () => {
  it("is replaced when nobody listens on it", async () => {
    await start();
    // What a kill leaves: the file, without its listener. Node removes the name it bound, so bind under another.
    const stale = join(directory, "stale.sock");
    await abandon(stale);
    await observation!.close();
    socket = stale;
    await start();
    expect(await say('{"get":"tracking"}\n')).toContain("told");
  });

  it("is left alone when somebody does", async () => {
    await start();
    const second = startObservation({ socket, topics: [], answer: () => ({}) });
    await expect(second).rejects.toThrow("another daemon runs");
    expect(await say('{"get":"tracking"}\n')).toContain("told");
  });

  it("is left alone when it is no socket", async () => {
    socket = join(directory, "file");
    await writeFile(socket, "precious");
    await expect(start()).rejects.toThrow("another kind of file");
    expect((await lstat(socket)).isFile()).toBe(true);
  });
});

/** Make a socket file without a listener: its name is a second link, which outlives the first. */
async function abandon(name: string): Promise<void> {
  const { link } = await import("node:fs/promises");
  const bound = `${name}.bound`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(bound, resolve));
  await link(bound, name);
  await chmod(name, 0o600);
  await new Promise((resolve) => server.close(resolve));
}
