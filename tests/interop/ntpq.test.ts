// SPDX-License-Identifier: MIT OR Apache-2.0
/** ntpq, the classic one and NTPsec's, asks our server: `-p`, `rv`, associations; it insists on port 123, so in a network of its own. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Namespace, Peer, eventually, run, titled, whySkipped } from "../support/peers.ts";

const BUILT = fileURLToPath(new URL("../../dist/node/index.js", import.meta.url));

/** What our server reports: a system peer, a candidate over IPv6, and one that is gone. */
const SERVER = `
  import { serve } from ${JSON.stringify(BUILT)};
  const source = { stratum: 1, leap: 0, poll: 6, reach: 0o377, offset: 0.00125, delay: 0.02, jitter: 0.0001, rootDelay: 0.001, rootDispersion: 0.002, refid: 0x47505300 };
  const report = () => ({
    offset: -0.0005, jitter: 0.00002, frequencyPpm: -12.345, poll: 6,
    sources: [
      { ...source, address: "192.0.2.1", selection: "peer", receivedNs: BigInt(Date.now() - 5000) * 1000000n },
      { ...source, address: "2001:db8::1", selection: "candidate", stratum: 2, refid: 0xc0000207, offset: -0.25, receivedNs: BigInt(Date.now() - 64000) * 1000000n },
      { ...source, address: "198.51.100.7", selection: "reject", stratum: 16, reach: 0, refid: 0x494e4954, poll: 10 },
    ],
  });
  await serve({ listen: ["127.0.0.1"], stratum: 2, refid: "192.0.2.1", rootDelay: 0.0215, rootDispersion: 0.0105, leap: 1, control: { report } });
  console.log("ready");
`;

describe.each(["ntpq-classic", "ntpq"])("%s asks our server", (program) => {
  const skipped = whySkipped([program, "ip", "nsenter", "unshare"], { root: true });
  describe.skipIf(skipped)(titled("over loopback", skipped), () => {
    let network: Namespace;
    let server: Peer;
    beforeEach(async () => {
      network = await Namespace.open();
      server = new Peer(process.execPath, ["--input-type=module", "-e", SERVER], { namespace: network });
      await eventually("our server", async () => server.stdout.includes("ready") || undefined, server);
    });
    afterEach(async () => {
      await server?.stop();
      await network?.[Symbol.asyncDispose]();
    });

    async function ask(...args: string[]): Promise<string> {
      const { stdout, stderr } = await run(program, ["-n", ...args, "127.0.0.1"], { namespace: network });
      expect(stderr).not.toMatch(/error|timed out|truncated|format|corrupt/i);
      return stdout;
    }

    it("-p shows each source with its tally, reference, stratum, reach, delay, offset and jitter", async () => {
      const lines = (await ask("-p")).split("\n").slice(2).filter((line) => line !== "");
      const cells = lines.map((line) => [line[0], ...line.slice(1).trim().split(/\s+/)]);
      expect(cells.length).toBe(3);
      expect(cells[0]!.slice(0, 4)).toEqual(["*", "192.0.2.1", ".GPS.", "1"]);
      // st t when poll reach delay offset jitter
      expect(Number(cells[0]![5])).toBeGreaterThanOrEqual(4);
      expect(Number(cells[0]![5])).toBeLessThan(60);
      expect(cells[0]!.slice(6, 8)).toEqual(["64", "377"]);
      expect(cells[0]!.slice(8).map(Number)).toEqual([20, 1.25, 0.1].map((value) => expect.closeTo(value, 3)));
      expect(cells[1]!.slice(0, 4)).toEqual(["+", "2001:db8::1", "192.0.2.7", "2"]);
      expect(Number(cells[1]![9])).toBeCloseTo(-250, 2);
      expect(cells[2]!.slice(0, 4)).toEqual([" ", "198.51.100.7", ".INIT.", "16"]);
      expect(cells[2]!.slice(5, 8)).toEqual(["-", "1024", "0"]);
    });

    it("-c rv shows what the server says of its own clock", async () => {
      const text = await ask("-c", "rv");
      expect(text).toMatch(/status=4600 /);
      const told = Object.fromEntries([...text.matchAll(/(\w+)=("[^"]*"|[^,\n]*)/g)].map(([, name = "", value = ""]) => [name, value.trim()]));
      expect(told).toMatchObject({ leap: "01", stratum: "2", refid: "192.0.2.1", frequency: "-12.345", version: expect.stringContaining("escapement") });
      expect(Number(told["rootdelay"])).toBeCloseTo(21.5, 3);
      expect(Number(told["offset"])).toBeCloseTo(-0.5, 6);
      // It reads our time stamps as dates, of this year.
      expect(told["clock"]).toMatch(/^(0x)?[\da-f]{8}\.[\da-f]{8}|\d{4}-\d\d-\d\d/);
    });

    it("-c as shows conditions, and a list of variables gives those", async () => {
      const text = await ask("-c", "as");
      expect([...text.matchAll(/sys\.peer|candidate|reject/g)].map(([word]) => word)).toEqual(["sys.peer", "candidate", "reject"]);
      expect(await ask("-c", "rv &1 stratum,refid")).toMatch(/stratum=1.*refid=GPS/s);
    });

    it("is told so when it asks for what there is not", async () => {
      const { stdout, stderr } = await run(program, ["-n", "-c", "rv 99", "127.0.0.1"], { namespace: network });
      expect(stdout + stderr).toMatch(/association|associd/i);
    });
  });
});
