// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One datagram as the transport saw it: how long, when, from whom; and, afterwards, how long the answer is.
 *
 * The host, or the code that parses its control messages, fills it; {@link beginAnswer} reads it. Where `known` is 0 the sender's
 * address was not told, and whatever would depend on it (access list, limits, client log, control) is off for this datagram.
 * Tested in answer.test.ts.
 */

import { Interval, Timestamp } from "../proto/timestamp";

/** Reached by hosts through the exported SLOT_* offsets. */
@unmanaged
export class Incoming {
  /** Octets of the datagram; 0 once answered without a reply. */
  length: i32;
  received: Timestamp;
  /** The sender's IPv6 address, first and last eight octets as big-endian numbers; IPv4 as ::ffff:a.b.c.d. */
  high: u64;
  low: u64;
  port: u32;
  known: u8;
  /** Set by the answer: its true transmit time is wanted, for the interleaved reply that may follow. */
  stampWanted: u8;
  /** Set by the answer: it has its transmit timestamp already (a kiss, an interleaved reply). */
  stamped: u8;
  /** Set by whoever answered it: 1 the request bore a good MAC, 2 it was a good NTS request. */
  authenticated: u8;
  /** Set by whoever refused it: the answer only says that it could not be authenticated. */
  refused: u8;
  /** Set by the answer: 1 + the index of the key whose MAC it ends in (proto/keys.ts), 0 for none. */
  key: i32;
  /** Set by the answer: octets of a control message (mode 6) that the host is to answer; `length` is then 0. */
  control: i32;
  /** Set by the answer: the client's record (clients.ts), 0 for none. */
  client: usize;
  /** Where interleaved.ts keeps the timestamps of this answer, 0 for nowhere. */
  pair: usize;
  /** Set before a batch: the hash of the client's address (clients.ts), 0 where it is not worked out yet. */
  hash: u64;
  /** What is added to the clock's time for this answer: a leap second smeared, another time scale. */
  smear: Interval;
  /** NTPv5: the time scale of the answer, and the octets behind all that is authenticated. */
  scale: u8;
  behind: u8;
}
