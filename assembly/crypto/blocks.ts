// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What MD5, SHA-1 and SHA-256 have in common: data of any lengths cut into blocks of 64 octets, and the padding at the end
 * (RFC 1321 §3.1, FIPS 180-4 §5.1.1). It knows no hash; who uses it says how a block is compressed. Tested in hash.test.ts and
 * md5.test.ts at every split.
 */

export const BLOCK: i32 = 64;
/** Where the padding ends and the length in bits begins. */
const AT_LENGTH: i32 = BLOCK - 8;

/** The block being filled; its octets follow in memory. */
@unmanaged
export class Blocks {
  total: u64;
  filled: i32;

  /** Where a whole block lies when it is to be compressed. */
  get octets(): usize {
    return changetype<usize>(this) + offsetof<Blocks>();
  }

  start(): void {
    this.filled = 0;
    this.total = 0;
  }

  update(data: usize, length: i32, compress: () => void): void {
    this.total += <u64>length;
    while (length > 0) {
      const take = min(BLOCK - this.filled, length);
      memory.copy(this.octets + <usize>this.filled, data, take);
      this.filled += take;
      data += take;
      length -= take;
      if (this.filled == BLOCK) this.compress(compress);
    }
  }

  /** Pad, and compress the rest. `bigEndian`: how the hash writes the length. */
  finish(bigEndian: bool, compress: () => void): void {
    const bits = this.total << 3;
    store<u8>(this.octets + <usize>this.filled, 0x80);
    this.filled += 1;
    memory.fill(this.octets + <usize>this.filled, 0, BLOCK - this.filled);
    if (this.filled > AT_LENGTH) {
      this.compress(compress);
      memory.fill(this.octets, 0, BLOCK);
    }
    store<u64>(this.octets, bigEndian ? bswap<u64>(bits) : bits, AT_LENGTH);
    this.compress(compress);
  }

  private compress(compress: () => void): void {
    compress();
    this.filled = 0;
  }
}

/** Octets of a {@link Blocks} with its block. */
export const BLOCKS_SIZE: i32 = 16 + BLOCK;
