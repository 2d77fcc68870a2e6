// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the server has seen since its instance was made: never reset, so that whoever reads them may take differences.
 *
 * Every datagram is counted once in `received` and once in how it ended: `answered` (with time, with a kiss or with a
 * crypto-NAK), `control`, or one of the reasons for silence. Hosts read them through the exported COUNTERS_* offsets.
 * Tested in answer.test.ts.
 */

@unmanaged
export class Counters {
  received: u64;
  answered: u64;
  /** Silence: shorter than a header, no multiple of four octets, fields or MAC that contradict each other. */
  malformed: u64;
  /** Silence: a mode or version that is never answered. */
  unanswerable: u64;
  /** Silence: the access list says so. */
  denied: u64;
  /** Silence: over the rate limit. */
  limited: u64;
  /** Silence: a leap second is being made up for, and the clock may be a second off for a moment. */
  hushed: u64;
  /** Control messages handed to the host. */
  control: u64;
  // Of those answered:
  kissesRate: u64;
  kissesDeny: u64;
  /** Over the limit, but let through so that nobody can silence another by forging its address. */
  leaked: u64;
  interleaved: u64;
  /** With a good MAC. */
  authenticated: u64;
  nts: u64;
  /** Transmit timestamps that came back from the host and found their pair. */
  stamps: u64;
  /** Records of clients pushed out by others. */
  evicted: u64;
  // Where network cards stamp: their stamps that were told, of datagrams received and sent; those that were not believed.
  hardwareReceived: u64;
  hardwareSent: u64;
  hardwareRefused: u64;
}

export const countersAt: usize = memory.data(offsetof<Counters>(), 8);
export const counters = changetype<Counters>(countersAt);
