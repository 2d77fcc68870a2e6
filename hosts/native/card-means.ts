// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where network cards are found on this machine, by FFI. Tested in tests/server/cards.test.ts.
 *
 * @module
 */

import { networkInterfaces } from "node:os";
import type { CardMeans } from "./cards.ts";
import { bindDevices, kernelLayer } from "./device.ts";
import type { Ffi } from "./ffi.ts";

/** Undefined where the layouts do not hold. Never throws. */
export function cardMeans(ffi: Ffi): CardMeans | undefined {
  const libc = bindDevices(ffi);
  if (!libc) return undefined;
  return {
    layer: kernelLayer(libc),
    names: interfaceNames,
    indexOf: (name) => libc.interfaceIndex(name),
    nameOf: (index) => libc.interfaceName(index),
    nowMs: () => performance.now(),
  };
}

/** None where this process may not ask (Deno without --allow-sys). */
function interfaceNames(): string[] {
  try {
    return Object.keys(networkInterfaces());
  } catch {
    return [];
  }
}
