// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * workerd with one Worker, bundled as a deployment would: escapement inside, the core a module that is imported. It is the runtime
 * itself; miniflare is a program of Node's that starts the same one.
 *
 * @module
 */

import { copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build, type Plugin } from "esbuild";
import { Peer, freeTcpPort, freshDirectory, untilReady } from "../support/peers.ts";

const WORKERD = path.resolve("tests/runtimes/node_modules/@cloudflare/workerd-linux-64/bin/workerd");
const CORE = path.resolve("dist/core.wasm");
/** Beside the Worker: its wasm, and the same file as octets. */
const BESIDE: Plugin = {
  name: "beside",
  setup({ onResolve }) {
    onResolve({ filter: /core\.wasm$/ }, () => ({ path: "./core.wasm", external: true }));
    onResolve({ filter: /^core\.bin$/ }, () => ({ path: "./core.bin", external: true }));
  },
};

/** Why there is no workerd here, or undefined. */
export function missingWorkerd(): string | undefined {
  const missing = [WORKERD, CORE].filter((file) => !existsSync(file)).map((file) => path.relative(".", file));
  return missing.length > 0 ? `skipped: no ${missing.join(", no ")}` : undefined;
}

export interface Workerd extends AsyncDisposable {
  readonly url: string;
}

/** Start the Worker of a source file, with these texts as its bindings. All network is allowed: everything is on loopback. */
export async function startWorkerd(entry: string, bindings: Record<string, string>): Promise<Workerd> {
  const directory = freshDirectory();
  await bundle(entry, path.join(directory, "worker.js"));
  copyFileSync(CORE, path.join(directory, "core.wasm"));
  const port = await freeTcpPort("127.0.0.1");
  const file = path.join(directory, "config.capnp");
  writeFileSync(file, configuration(port, bindings));
  const peer = new Peer(WORKERD, ["serve", "--experimental", file]);
  const url = `http://127.0.0.1:${port}/`;
  await untilReady("a Worker that listens", async () => ((await fetch(`${url}nowhere`).catch(() => undefined)) ? true : undefined), peer);
  return {
    url,
    async [Symbol.asyncDispose]() {
      await peer.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    conditions: ["workerd"],
    external: ["cloudflare:*"],
    alias: {
      "escapement/edge": path.resolve("hosts/edge/index.ts"),
      "escapement/core": path.resolve("hosts/common/core/index.ts"),
      "escapement/roughtime": path.resolve("hosts/common/roughtime/index.ts"),
    },
    plugins: [BESIDE],
    mainFields: ["module", "main"],
    tsconfigRaw: "{}",
    logLevel: "warning",
  });
}

function configuration(port: number, bindings: Record<string, string>): string {
  const texts = Object.entries(bindings).map(([name, text]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "core.wasm", wasm = embed "core.wasm"),
    (name = "core.bin", data = embed "core.wasm"),
  ],
  bindings = [${texts.join(", ")}],
  compatibilityDate = "2026-01-01",
);
`;
}
