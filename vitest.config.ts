// SPDX-License-Identifier: MIT OR Apache-2.0
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // What package.json maps by condition, for tests that run the sources: Node's host and the core built before.
  resolve: {
    alias: {
      "#wasm": here("dist/wasm/base64.js"),
      "#as-bind": here("dist/wasm/as-bind.js"),
      "#host": here("hosts/node/index.ts"),
    },
  },
  test: {
    setupFiles: [here("tests/support/seed.ts")],
    include: ["{assembly,hosts,cli,daemon,dashboard,tests}/**/*.test.ts"],
    // Peers, sockets and child processes: bounded, but not hurried on a shared machine. Only a failure takes so long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
  },
});
