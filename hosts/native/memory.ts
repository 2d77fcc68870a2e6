// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Memory that C may write to: a block whose address stays put.
 *
 * Two rules keep this safe. A block MUST be made from an ArrayBuffer of its own: small typed arrays live inside the
 * garbage-collected heap and move. And whoever hands out an address MUST hold the block until the last native call
 * that knows the address has returned; no block's buffer is ever given to a caller, who could transfer it away.
 *
 * Tested in tests/native/contract.test.ts.
 *
 * @module
 */

import type { Ffi } from "./ffi.ts";

/** Zeroed memory at a fixed address, at least 8-aligned. */
export class Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: number;

  constructor(ffi: Ffi, size: number) {
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = ffi.address(this.bytes);
  }
}
