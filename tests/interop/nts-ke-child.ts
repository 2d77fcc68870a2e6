// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Key establishment on whatever runtime this runs on, for nts-ke.test.ts: `client HOST PORT CA [PQ]` prints what came of it,
 * `server CERTIFICATE KEY` prints its port and serves until its standard input ends. Bundled with the runtime's own host.
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { lendHost } from "#host";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import { serveKe } from "../../hosts/common/nts/server.ts";
import type { PostQuantum } from "../../hosts/common/stream.ts";
import { testJar } from "../support/cookies.ts";

const [role, first = "", second = "", third = "", pq = "prefer"] = process.argv.slice(2);
const host = await lendHost({ native: false });
const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`);
const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

try {
  if (role === "client") {
    const { c2s, s2c, cookies, ...rest } = await establishKeys(host, { host: first, kePort: Number(second), ca: await readFile(third, "utf8"), pq: pq as PostQuantum });
    say({ ...rest, otherKeys: undefined, c2s: hex(c2s), s2c: hex(s2c), cookies: cookies.map(hex) });
  } else {
    const jar = testJar();
    const server = await serveKe(host, { certificate: await readFile(first, "utf8"), key: await readFile(second, "utf8"), jar, listen: ["127.0.0.1"], port: 0 });
    say({ port: server.addresses[0]?.port });
    process.stdin.resume().on("end", () => {
      say(server.stats);
      void server.close();
    });
  }
} catch (error) {
  say({ code: (error as { code?: string }).code, message: (error as Error).message });
}
