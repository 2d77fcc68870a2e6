// SPDX-License-Identifier: MIT OR Apache-2.0
// Seeded random numbers for the simulator: one generator per purpose, so that adding a draw in one
// place (a delay, the wander) never changes what another purpose draws.
// Refuses: Math.random, and any state shared between generators.

/** sfc32 (Chris Doty-Humphrey's small fast counting generator): 128 bits of state, passes PractRand. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;
  private spare = NaN;

  /** `purpose` names the stream: the same seed and purpose give the same numbers for ever. */
  constructor(seed: number, purpose: string) {
    let hash = 0x811c9dc5 ^ seed; // FNV-1a over the purpose, started from the seed
    for (const character of purpose) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    this.a = hash | 0;
    this.b = seed | 0;
    this.c = Math.imul(hash, 0x9e3779b1) | 0;
    for (let round = 0; round < 20; round++) this.bits(); // sfc32 asks for 12 rounds of mixing or more
  }

  private bits(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** Uniform in (0, 1): never 0, so its logarithm is finite. */
  uniform(): number {
    return (this.bits() + 0.5) / 4294967296;
  }

  /** Exp(1): −ln U, mean 1. */
  exponential(): number {
    return -Math.log(this.uniform());
  }

  /** N(0, 1) by the polar method. */
  normal(): number {
    if (!Number.isNaN(this.spare)) {
      const value = this.spare;
      this.spare = NaN;
      return value;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const square = u * u + v * v;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.spare = v * factor;
      return u * factor;
    }
  }
}
