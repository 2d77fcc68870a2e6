// SPDX-License-Identifier: MIT OR Apache-2.0
/** Options of `escapement serve` about whom it answers and by what proof. @module */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { accessRules, featureOptions, rateLimitOption } from "./serve-options.ts";
import { UsageError } from "./usage.ts";

const directory = mkdtempSync(path.join(tmpdir(), "escapement-options-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(name: string, text: string | Uint8Array): string {
  const file = path.join(directory, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe("whom to answer", () => {
  it("is everybody unless said otherwise", () => {
    expect(accessRules({})).toBeUndefined();
  });

  it("is all but those denied", () => {
    expect(accessRules({ deny: ["192.0.2.0/24"] })).toEqual([{ action: "deny", prefix: "192.0.2.0/24" }]);
  });

  it("is only those allowed, where some are", () => {
    expect(accessRules({ allow: ["192.0.2.0/24"], deny: ["192.0.2.1"] })).toEqual([
      { action: "deny", prefix: "all" },
      { action: "allow", prefix: "192.0.2.0/24" },
      { action: "deny", prefix: "192.0.2.1" },
    ]);
  });

  it("is everybody again where all are allowed", () => {
    expect(accessRules({ allow: ["all"], deny: ["192.0.2.1"] })).toHaveLength(2);
  });
});

describe("the rate limit", () => {
  it.each<[string, object]>([["8", { interval: 8 }], ["0.5,4", { interval: 0.5, burst: 4 }], ["1,16,0", { interval: 1, burst: 16, leak: 0 }]])("%s", (text, options) => {
    expect(rateLimitOption(text)).toEqual(options);
  });

  it.each(["", ",", "0", "-1", "1,0", "1,x", "1,2,17", "1,2,3,4", "1,2.5"])("%j is wrong usage that names the option", (text) => {
    expect(() => rateLimitOption(text)).toThrow(UsageError);
    expect(() => rateLimitOption(text)).toThrow("--rate-limit");
  });
});

describe("keys and NTS", () => {
  it("are off unless asked for", async () => {
    expect(await featureOptions({})).toEqual({});
  });

  it("come from files, whose faults name file and line, never the secret", async () => {
    const keys = fileOf("keys", "1 AES128 HEX:00112233445566778899aabbccddeeff\n");
    expect((await featureOptions({ keys })).keys).toMatchObject([{ id: 1, type: "AES128" }]);
    const wrong = fileOf("wrong", "1 AES128 tulipsecret\n");
    await expect(featureOptions({ keys: wrong })).rejects.toThrow(`${wrong}: line 1`);
    await expect(featureOptions({ keys: wrong })).rejects.not.toThrow("tulip");
  });

  it("name certificate files, which are read by the server and watched", async () => {
    const { nts } = await featureOptions({ "nts-cert": "/c", "nts-key": "/k", "nts-listen": "127.0.0.1:4461", "nts-keys": "/keys" });
    expect(nts).toEqual({ certificateFiles: { certificate: "/c", key: "/k" }, listen: ["127.0.0.1"], port: 4461, store: "/keys" });
  });

  it("take a secret's octets as they are", async () => {
    const secret = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
    const { nts } = await featureOptions({ "nts-cert": "/c", "nts-key": "/k", "nts-secret": fileOf("secret", secret) });
    expect(Uint8Array.from(nts!.store as Uint8Array)).toEqual(secret);
  });

  it.each<[object, string]>([
    [{ "nts-cert": "/c" }, "--nts-key"],
    [{ "nts-key": "/k" }, "--nts-cert"],
    [{ "nts-listen": ":4460" }, "--nts-cert"],
    [{ "nts-cert": "/c", "nts-key": "/k", "nts-keys": "/a", "nts-secret": "/b" }, "got both"],
    [{ "nts-cert": "/c", "nts-key": "/k", "nts-secret": "/nowhere/at/all" }, "there is none"],
  ])("%j is wrong usage", async (values, message) => {
    await expect(featureOptions(values)).rejects.toThrow(UsageError);
    await expect(featureOptions(values)).rejects.toThrow(message);
  });
});
