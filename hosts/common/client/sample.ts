// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One reply, measured and judged.
 *
 * @module
 */

import type { StampSource } from "../host.ts";
import { problemsOf, type Problem } from "./problems.ts";

/** What a {@link Sample} is made of. Seconds as numbers, absolute times as bigint nanoseconds since 1970. */
export interface SampleFields {
  /** The source as the caller wrote it. */
  readonly source: string;
  /** The address that answered, and its port. */
  readonly address: string;
  readonly port: number;
  /** Protocol version of the reply: of NTP 1..4, of Roughtime 1 or 0x8000000c. */
  readonly version: number;
  /** Association mode of the reply: 4 server, 2 symmetric passive. */
  readonly mode: number;
  /** Leap indicator: 0 none, 1 insert, 2 delete a second at the end of the month, 3 not synchronised. */
  readonly leap: number;
  /** 1 for a server with a reference clock, up to 15; 0 in a kiss-o'-death, and from Roughtime, which does not tell. */
  readonly stratum: number;
  /** The server's poll field, log2 s. */
  readonly poll: number;
  /** The server's clock precision, log2 s. */
  readonly precision: number;
  /** What the server says it is synchronised to: "GPS", "192.0.2.1", or a kiss code at stratum 0. */
  readonly refid: string;
  /** How far the server's clock is ahead of ours, s. Add it to this host's clock; never use t3 as the time. */
  readonly offset: number;
  /** The same, in nanoseconds. */
  readonly offsetNs: bigint;
  /** Round trip without the server's residence, s. May be slightly negative on coarse clocks. */
  readonly delay: number;
  /** Error from the precision of both clocks and the drift during the exchange, s. */
  readonly dispersion: number;
  /** The server's own delay to its reference clock, s. */
  readonly rootDelay: number;
  /** The server's own dispersion to its reference clock, s. */
  readonly rootDispersion: number;
  /** The bound: the true offset lies within `offset ± rootDistance` unless server or path lies, s. */
  readonly rootDistance: number;
  readonly rootDistanceNs: bigint;
  /** When the request left (this host's clock), when the server got it and answered (its clock), when the reply came. */
  readonly t1: bigint;
  readonly t2: bigint;
  readonly t3: bigint;
  readonly t4: bigint;
  /** Who stamped t1 and t4. */
  readonly timestamps: { readonly t1: StampSource; readonly t4: StampSource };
  /** Whether the reply was authenticated. */
  readonly authenticated: boolean;
  /** With what keys, where it was by NTS: the AEAD algorithm (IANA), and the key exchange group where the runtime tells it. */
  readonly nts?: { readonly aead: number; readonly group?: string | undefined };
  /** Whether it was in interleaved mode (RFC 9769). */
  readonly interleaved: boolean;
  /** Bits of the tests it failed; {@link Sample.problems} has them in words. */
  readonly problemBits: number;
  /** What the server told beside the time, when it was asked in NTPv5. */
  readonly ntpv5?: Ntpv5Facts;
  /** What the server signed, when it was asked by Roughtime. */
  readonly roughtime?: RoughtimeFacts;
}

/** Of an NTPv5 answer, as far as the server told it. Times are seconds unless the name says otherwise. */
export interface Ntpv5Facts {
  /** The versions of NTP that the server speaks. */
  readonly versions?: readonly number[];
  /** When its clock was last set, ns since 1970. */
  readonly referenceNs?: bigint;
  /** A clock of the server that is never stepped: which run of it, and how far it was ahead of `t2`. */
  readonly monotonic?: { readonly epoch: number; readonly aheadNs: bigint };
  /** What other time scales are ahead of UTC. */
  readonly scales?: { readonly tai?: number; readonly ut1?: number; readonly smeared?: number };
  /**
   * How long network nodes said that they held the request and the reply. Used: offset and delay are without it, though nobody
   * signs it; rootDistance is as if it had not come.
   */
  readonly correction?: { readonly request: number; readonly reply: number; readonly used: boolean };
}

/** Of a Roughtime answer, as signed: times in whole seconds since 1970. */
export interface RoughtimeFacts {
  readonly midpoint: number;
  /** s */
  readonly radius: number;
  readonly transport: "udp" | "tcp";
  /** When the key that signed it may be used. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** JSON of one sample; absolute times are strings of nanoseconds since 1970. */
export type SampleJson = Omit<SampleFields, "offsetNs" | "rootDistanceNs" | "problemBits" | "t1" | "t2" | "t3" | "t4" | "ntpv5"> & {
  readonly t1: string;
  readonly t2: string;
  readonly t3: string;
  readonly t4: string;
  readonly problems: string[];
  readonly ntpv5?: Omit<Ntpv5Facts, "referenceNs" | "monotonic"> & {
    readonly referenceNs?: string;
    readonly monotonic?: { readonly epoch: number; readonly aheadNs: string };
  };
};

export interface Sample extends SampleFields {}

/**
 * One reply, measured. It may be unfit to set a clock by: ask {@link Sample.problems} before you use its offset.
 */
export class Sample {
  constructor(fields: SampleFields) {
    Object.assign(this, fields);
  }

  /** Why this sample is unfit to set a clock by; empty when it is fit. */
  problems(): Problem[] {
    return problemsOf(this.problemBits, this);
  }

  /** Whether {@link problems} is empty. */
  get usable(): boolean {
    return this.problemBits === 0;
  }

  /** The kiss code, when this is a kiss-o'-death. */
  get kiss(): string | undefined {
    return this.problems().some(({ test }) => test === "testA") ? this.refid : undefined;
  }

  toJSON(): SampleJson {
    const { offsetNs: _offset, rootDistanceNs: _distance, problemBits: _bits, t1, t2, t3, t4, ntpv5, ...rest } = { ...this } as SampleFields;
    return {
      ...rest,
      ...(ntpv5 ? { ntpv5: factsJson(ntpv5) } : {}),
      t1: String(t1),
      t2: String(t2),
      t3: String(t3),
      t4: String(t4),
      problems: this.problems().map(({ test, message }) => `${test} ${message}`),
    };
  }
}

function factsJson({ referenceNs, monotonic, ...facts }: Ntpv5Facts): NonNullable<SampleJson["ntpv5"]> {
  return {
    ...facts,
    ...(referenceNs === undefined ? {} : { referenceNs: String(referenceNs) }),
    ...(monotonic === undefined ? {} : { monotonic: { ...monotonic, aheadNs: String(monotonic.aheadNs) } }),
  };
}
