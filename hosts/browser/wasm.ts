// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Fetches a build of the core that lies beside this package's files. Bundlers know `new URL("./x.wasm", import.meta.url)`.
 * Tested in tests/browser/clock.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";

/** The small one, of the page's own clock. */
export const loadPageCore = (): Promise<WebAssembly.Module> => load(new URL("./page.wasm", import.meta.url));
/** What single questions need, by NTS too. */
export const loadQueryCore = (): Promise<WebAssembly.Module> => load(new URL("./query.wasm", import.meta.url));
/** What a clock over servers needs, by NTS too. */
export const loadFollowCore = (): Promise<WebAssembly.Module> => load(new URL("./follow.wasm", import.meta.url));
/** All of it. */
export const loadWholeCore = (): Promise<WebAssembly.Module> => load(new URL("./core.wasm", import.meta.url));

/** @throws {NtpError} `UNSUPPORTED` */
async function load(url: URL): Promise<WebAssembly.Module> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    // Not by streaming: that would refuse a server that does not know the type application/wasm.
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    const hint = "serve the .wasm files of escapement/browser beside its .js files, and allow 'wasm-unsafe-eval' in the page's script-src";
    throw new NtpError("UNSUPPORTED", `expected to load ${url.href}, got: ${(error as Error).message}; ${hint}`, { cause: error });
  }
}
