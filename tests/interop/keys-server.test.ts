// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Symmetric keys the other way: chronyd asks `escapement serve --keys` with a key of each type, takes our answers, and takes
 * none where we have another secret. What it says of us is in `chronyc ntpdata` and `authdata`.
 */

import { rmSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { eventually, freePort, freshDirectory, loopbackAlias, titled, whySkipped, writeLines, type Peer } from "../support/peers.ts";
import { startServe } from "./ask.ts";
import { chronyClient, numberIn, type ChronyProgram } from "./chrony.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc", "chronyd-new", "chronyc-new"]);
const OCTETS = "000102030405060708090a0b0c0d0e0f";
const TYPES = [[1, "MD5", OCTETS], [2, "SHA1", `${OCTETS}10111213`], [3, "SHA256", OCTETS + OCTETS], [4, "AES128", OCTETS], [5, "AES256", OCTETS + OCTETS]] as const;
const KEYS = TYPES.map(([id, type, secret]) => `${id} ${type} HEX:${secret}`);
/** The same numbers and types, other secrets. */
const WRONG = TYPES.map(([id, type, secret]) => `${id} ${type} HEX:${secret.replace("00", "ff")}`);

const directory = freshDirectory();
const right = writeLines(directory, "keys", KEYS);
const wrong = writeLines(directory, "wrong", WRONG);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `escapement serve` of stratum 1 with a file of keys. */
async function ourServer(keys: string): Promise<AsyncDisposable & { readonly peer: Peer; readonly address: string; readonly port: number }> {
  const address = loopbackAlias();
  const port = await freePort(address);
  const peer = await startServe(["--listen", `${address}:${port}`, "--stratum", "1", "--refid", "GPS", "--keys", keys]);
  return { peer, address, port, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

describe.skipIf(skipped).each<ChronyProgram>(["chronyd", "chronyd-new"])(titled("%s asks our server with a key", skipped), (program) => {
  it.each(TYPES)("key %i, %s: it finds our answers authentic", async (id, type) => {
    await using server = await ourServer(right);
    await using client = await chronyClient([`server ${server.address} port ${server.port} key ${id} iburst minpoll -2 maxpoll -2`], { program, keys: KEYS });
    const data = await eventually("chronyd to have had four good answers", async () => {
      const report = await client.report("ntpdata", server.address);
      return numberIn(report, "Total good RX") >= 4 ? report : undefined;
    }, client.peer);
    expect(Object.fromEntries(data)).toMatchObject({ Authenticated: "Yes", Stratum: "1", "NTP tests": expect.stringMatching(/^111 111/) });
    expect(await client.ask("authdata")).toMatch(new RegExp(`^${server.address.replaceAll(".", "\\.")} +SK +${id} `, "m"));
    record(program, "client", `\`escapement serve --keys\`, asked with a key of type ${type}`, `Authenticated ${data.get("Authenticated")}`);
  });

  it.each(TYPES)("key %i, %s: it takes no answer where our server has another secret", async (id) => {
    await using server = await ourServer(wrong);
    await using client = await chronyClient([`server ${server.address} port ${server.port} key ${id} iburst minpoll -2 maxpoll -2`], { program, keys: KEYS });
    const data = await eventually("chronyd to have asked four times", async () => {
      const report = await client.report("ntpdata", server.address);
      return numberIn(report, "Total TX") >= 4 ? report : undefined;
    }, client.peer);
    expect(numberIn(data, "Total good RX")).toBe(0);
    expect(await client.ask("sources")).not.toContain("^*");
  });
});
