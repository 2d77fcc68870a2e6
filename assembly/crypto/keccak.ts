// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * SHA-3 and SHAKE (FIPS 202) as ML-KEM needs them: one sponge, absorbed and squeezed octet by octet.
 *
 * Small rather than fast: key establishment hashes some kilobytes an hour. No branch and no address depends on what is
 * absorbed. Tested in mlkem.test.ts against noble.
 */

export const RATE_SHAKE128: i32 = 168;
export const RATE_256: i32 = 136;
export const RATE_512: i32 = 72;
/** What is added behind the data, with the first bit of the padding (§6). */
export const SHA3: u8 = 0x06;
export const SHAKE: u8 = 0x1f;

const ROUNDS: i32 = 24;
const LANES: usize = 25 * 8;
/** x + 5y is the place of a lane. */
const state: usize = memory.data(LANES, 16);
/** Column sums (§3.2.1), or one row (§3.2.4). */
const five: usize = memory.data(5 * 8, 8);

let rate: i32 = RATE_256;
let place: i32 = 0;

/** Begin with nothing absorbed; `octets` of the state take data. */
export function keccakStart(octets: i32): void {
  memory.fill(state, 0, LANES);
  rate = octets;
  place = 0;
}

export function keccakAbsorb(data: usize, length: i32): void {
  for (const end = data + <usize>length; data < end; data++) keccakOctet(load<u8>(data));
}

export function keccakOctet(octet: u8): void {
  const at = state + <usize>place;
  store<u8>(at, load<u8>(at) ^ octet);
  if (++place == rate) permute();
}

/** Pad: what follows is squeezed. */
export function keccakEnd(suffix: u8): void {
  const at = state + <usize>place;
  store<u8>(at, load<u8>(at) ^ suffix);
  const last = state + <usize>rate - 1;
  store<u8>(last, load<u8>(last) ^ 0x80);
  permute();
}

export function keccakSqueeze(out: usize, length: i32): void {
  for (const end = out + <usize>length; out < end; out++) {
    if (place == rate) permute();
    store<u8>(out, load<u8>(state + <usize>place));
    place += 1;
  }
}

/** What was hashed may be secret. */
export function keccakForget(): void {
  memory.fill(state, 0, LANES);
  memory.fill(five, 0, 5 * 8);
}

/** KECCAK-f[1600] (§3.3). */
function permute(): void {
  place = 0;
  let bits: i32 = 1;
  for (let round = 0; round < ROUNDS; round++) {
    theta();
    rhoPi();
    chi();
    // ι (§3.2.5): the constants are a shift register's.
    for (let j = 0; j < 7; j++) {
      bits = ((bits << 1) ^ ((bits >> 7) * 0x171)) & 0xff;
      if (bits & 2) store<u64>(state, load<u64>(state) ^ (<u64>1 << ((1 << j) - 1)));
    }
  }
}

function theta(): void {
  for (let x: usize = 0; x < 40; x += 8) {
    const at = state + x;
    store<u64>(five + x, load<u64>(at) ^ load<u64>(at, 40) ^ load<u64>(at, 80) ^ load<u64>(at, 120) ^ load<u64>(at, 160));
  }
  for (let x: usize = 0; x < 40; x += 8) {
    const sum = load<u64>(five + (x + 32) % 40) ^ rotl<u64>(load<u64>(five + (x + 8) % 40), 1);
    for (let at = state + x; at < state + LANES; at += 40) store<u64>(at, load<u64>(at) ^ sum);
  }
}

function rhoPi(): void {
  let x: usize = 1;
  let y: usize = 0;
  let current = load<u64>(state, 8);
  for (let t: u64 = 1; t <= 24; t++) {
    const next = (2 * x + 3 * y) % 5;
    x = y;
    y = next;
    const at = state + (x + 5 * y) * 8;
    const moved = rotl<u64>(current, (t * (t + 1)) >> 1);
    current = load<u64>(at);
    store<u64>(at, moved);
  }
}

function chi(): void {
  for (let row = state; row < state + LANES; row += 40) {
    memory.copy(five, row, 40);
    for (let x: usize = 0; x < 40; x += 8) {
      store<u64>(row + x, load<u64>(five + x) ^ (~load<u64>(five + (x + 8) % 40) & load<u64>(five + (x + 16) % 40)));
    }
  }
}
