// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Symmetric keys (RFC 5905 §7.3, RFC 8573) with chronyd, as client and as server: each type of MAC is understood by both,
 * and neither believes who has another secret. All through the command and files in chrony's format.
 */

import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMAND, Peer, escapement, eventually, freshDirectory, titled, whySkipped, writeLines } from "../support/peers.ts";
import { reportOf } from "../support/daemon.ts";
import { chronyServer, numberIn, type ChronyProgram, type Chronyd } from "./chrony.ts";
import { sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc", "chronyd-new", "chronyc-new"]);
const AES128 = "000102030405060708090a0b0c0d0e0f";
const TYPES = [
  [1, "MD5", AES128],
  [2, "SHA1", `${AES128}10111213`],
  [3, "SHA256", AES128 + AES128],
  [4, "AES128", AES128],
  [5, "AES256", AES128 + AES128],
] as const;
const KEYS = TYPES.map(([id, type, secret]) => `${id} ${type} HEX:${secret}`);
/** The same numbers and types, other secrets. */
const WRONG = TYPES.map(([id, type, secret]) => `${id} ${type} HEX:${secret.replace("00", "ff")}`);

const directory = freshDirectory();
const right = writeLines(directory, "keys", KEYS);
const wrong = writeLines(directory, "wrong", WRONG);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What a crowded machine may take, and what is waited for where nothing is to come, s. */
const [PLENTY, LITTLE] = ["30", "1"];

/** What `escapement query --json` tells. */
async function ask(...args: string[]): Promise<{ status: number | null; samples: Record<string, unknown>[]; errors: { code: string }[] }> {
  const { status, stdout, stderr } = await escapement(["query", "--json", ...args]);
  if (!stdout) throw new Error(stderr);
  return { status, ...(JSON.parse(stdout) as { samples: Record<string, unknown>[]; errors: { code: string }[] }) };
}

describe.skipIf(skipped).each<ChronyProgram>(["chronyd", "chronyd-new"])(titled("%s is asked with a key", skipped), (program) => {
  let server: Chronyd;
  beforeAll(async () => {
    server = await chronyServer({ program, keys: KEYS, lines: ["local stratum 3"] });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const authenticated = async () => numberIn(await server.report("serverstats"), "Authenticated NTP packets");

  it.each(TYPES)("key %i, %s: it finds our MAC good and we find its", async (id, type) => {
    const before = await authenticated();
    const { status, samples } = await ask(sourceOf(server), "--key", `${right}:${id}`, "--timeout", PLENTY);
    expect(status).toBe(0);
    expect(samples).toMatchObject([{ authenticated: true, stratum: 3, problems: [] }]);
    expect((await authenticated()) - before).toBe(1);
    record(program, "server", `\`query\` with a key of type ${type}`, "Authenticated NTP packets 1");
  });

  it.each(TYPES)("key %i, %s: with another secret there is no time", async (id) => {
    const before = await authenticated();
    const { status, samples } = await ask(sourceOf(server), "--key", `${wrong}:${id}`, "--timeout", LITTLE);
    expect(status, "an answer that nobody vouches for is none").toBe(1);
    expect(samples.filter((sample) => sample["authenticated"] || (sample["problems"] as unknown[]).length === 0)).toEqual([]);
    expect(await authenticated()).toBe(before);
  });

  it("an answer without a MAC is none, where a key was asked for", async () => {
    await using keyless = await chronyServer({ program, lines: ["local stratum 3"] });
    const { status, samples } = await ask(sourceOf(keyless), "--key", `${right}:4`, "--timeout", LITTLE);
    expect(status).toBe(1);
    expect(samples.filter((sample) => (sample["problems"] as unknown[]).length === 0)).toEqual([]);
  });

  it.each([["the same", right, true], ["other", wrong, false]] as const)("a daemon of ours with %s keys", async (_, file, follows) => {
    const place = freshDirectory();
    const socket = `${place}/observe.sock`;
    const config = writeLines(place, "daemon.toml", [
      "[[source]]", `address = "${sourceOf(server)}"`, `key = "${file}:4"`, "min-poll = 0", "max-poll = 0",
      "[clock]", 'mode = "virtual"', "[observe]", `socket = "${socket}"`,
    ]);
    const before = await authenticated();
    await using daemon = new Peer(process.execPath, [COMMAND, "daemon", "--config", config], { owns: [place] });
    const [source] = await eventually("the daemon to have asked four times", async () => {
      const sources = await reportOf<{ sent: number; used: number; authentication: string }[]>("sources", socket);
      return sources[0] && sources[0].sent >= 4 && (!follows || sources[0].used >= 3) ? sources : undefined;
    }, daemon);
    expect(source).toMatchObject({ authentication: "key", ...(follows ? {} : { used: 0 }) });
    expect((await authenticated()) - before).toSatisfy((count: number) => (follows ? count >= 3 : count === 0));
    if (follows) record(program, "server", "`escapement daemon` with a key of type AES128", "Authenticated NTP packets 3 or more");
  });
});
