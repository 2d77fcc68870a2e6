// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What each runtime lends beside clocks and datagrams, used there: names, files, roots, TCP, TLS, HTTP. Runs what is built; the
 * contracts of clocks and datagrams are in contract.test.ts.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { PkiFiles } from "../support/files-of-pki.ts";
import { titled } from "../support/peers.ts";
import { RUNS, missing, type RuntimeRun } from "./runtimes.ts";

const HOSTS: readonly (readonly [host: string, run: RuntimeRun])[] = [
  ["node", RUNS[0]!],
  ["deno", RUNS.find(({ name }) => name === "Deno with FFI")!],
  ["bun", RUNS.find(({ name }) => name === "Bun with FFI")!],
];
/** What a runtime may take to start and to answer itself on a crowded machine, ms. */
const LIMIT_MS = 60_000;
const pki = new PkiFiles();

for (const [host, run] of HOSTS) {
  const entry = path.resolve(`dist/${host}/index.js`);
  const skipped = missing(run) ?? (existsSync(entry) ? undefined : `no ${path.relative(".", entry)}: node build/build.mjs`);

  describe.skipIf(skipped)(titled(run.name, skipped), () => {
    it("lends names, files, roots, TCP, TLS where it has it, and HTTP", { timeout: LIMIT_MS }, async () => {
      const { certificate, key } = pki.issue("127.0.0.1");
      const args = [...run.flags, "tests/contract/lent-child.mjs", entry, pki.directory, pki.ca, certificate, key];
      const { stdout } = await promisify(execFile)(run.command, args, { timeout: LIMIT_MS });
      const { names, roots, ...told } = JSON.parse(stdout) as { names: string[]; roots: number };
      expect(told).toEqual({
        runtime: host,
        files: { before: null, text: "two", mode: 0o600, tooLong: "refused", changed: true },
        tcp: "tick",
        // Deno's own has no exporter.
        tls: host === "deno" ? "none" : "tick",
        http: "/metrics",
      });
      expect(names.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
      expect(roots).toBeGreaterThan(100);
    });
  });
}
