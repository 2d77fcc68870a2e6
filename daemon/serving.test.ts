// SPDX-License-Identifier: MIT OR Apache-2.0
/** The section [server]: what it becomes, and what contradicts itself in it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { leapSeconds, serveOptions } from "./serving.ts";

const directory = mkdtempSync(path.join(tmpdir(), "escapement-serving-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(name: string, text: string | Uint8Array, mode = 0o600): string {
  const file = path.join(directory, name);
  writeFileSync(file, text, { mode });
  return file;
}

const read = (section: string, mode = "virtual") => readConfig(`[[source]]\naddress = "192.0.2.1"\n[clock]\nmode = "${mode}"\n[server]\n${section}`, "test.toml");
const silent = () => {};

describe("[server]", () => {
  it("becomes what serve() takes", async () => {
    const keys = fileOf("keys", "7 SHA1 tulip\n");
    const secret = fileOf("secret", new Uint8Array(40).fill(5));
    const { server } = read(`
      workers = 2
      access = ["deny all", "allow 192.0.2.0/24"]
      rate-limit = { interval = 4, burst = 16, leak = 3 }
      interleaved = true
      client-log = true
      control = true
      smear = true
      keys = "${keys}"
      user = "nobody"
      metrics = { port = 9123 }
      nts = { certificate = "/c.pem", key = "/c.key", port = 4461, aead = [15], secret = "${secret}" }`);
    expect(await serveOptions(server!, silent)).toEqual({
      port: 123, workers: 2, access: ["deny all", "allow 192.0.2.0/24"], rateLimit: { interval: 4, burst: 16, leak: 3 },
      interleaved: true, clientLog: true, control: true, smear: true, user: "nobody", metrics: { port: 9123 },
      keys: [{ id: 7, type: "SHA1", secret: new TextEncoder().encode("tulip") }],
      nts: { certificateFiles: { certificate: "/c.pem", key: "/c.key" }, port: 4461, aeads: [15], store: new Uint8Array(40).fill(5) },
    });
  });

  it("says nothing of what is not in it", async () => {
    expect(await serveOptions(read("").server!, silent)).toEqual({ port: 123 });
  });

  it.each([
    ['access = ["permit all"]', "an access rule"],
    ['access = ["deny 192.0.2.0/33"]', "192.0.2.0/33"],
    ["workers = 65", "0..64"],
    ["rate-limit = { interval = 0 }", "interval"],
    ['nts = { certificate = "/c" }', '"key"'],
    ['nts = { certificate = "/c", key = "/k", cookie-keys = "/a", secret = "/b" }', "both"],
    ["metrics = { }", '"port"'],
    ['keys = "relative"', "absolute"],
    ['user = ""', "user"],
  ])("%s is wrong, and the message says what was expected", (section, message) => {
    expect(() => read(section)).toThrow(message);
  });

  it("has no user of its own where the system clock is steered", () => {
    expect(() => read('user = "nobody"', "system")).toThrow("clock.mode");
  });

  it("warns of a key file that everybody can read, and of an expired list of leap seconds", async () => {
    const warnings: string[] = [];
    await serveOptions({ keys: fileOf("open", "1 MD5 tulip\n", 0o644) }, (message) => void warnings.push(message));
    expect(warnings).toEqual([expect.stringContaining("chmod 600")]);
    await expect(leapSeconds({ "leap-file": fileOf("leap", "nonsense") }, silent)).rejects.toThrow();
    expect(await leapSeconds({}, silent)).toBeUndefined();
  });
});
