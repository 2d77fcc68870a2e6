// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime on the wire (RFC 10049 §4, §5): packets, and the messages of tags and values in them. Little-endian.
 *
 *   packet                                  message
 *   +-----------------------------+         +-----------------------------+
 *  0| "ROUGHTIM"              u64 |        0| N, the number of tags   u32 |
 *  8| length of the message   u32 |        4| N-1 offsets of values   u32 |  ascending, multiples of 4; the first is 0
 * 12| message                     |       4N| N tags                  u32 |  ascending as numbers, no repeats
 *   +-----------------------------+       8N| values                      |  may be empty; the last ends with the message
 *                                           +-----------------------------+
 *
 * Refuses every message that is not exactly so; what a value means is the reader's business. Unknown tags are stepped
 * over (§7). Tested in roughtime.test.ts at every truncation.
 */

export const FRAME_LENGTH: i32 = 12;
const MAGIC: u64 = 0x4d49544847554f52;

export const TAG_SIG: u32 = 0x00474953;
export const TAG_VER: u32 = 0x00524556;
export const TAG_SRV: u32 = 0x00565253;
export const TAG_NONC: u32 = 0x434e4f4e;
export const TAG_DELE: u32 = 0x454c4544;
export const TAG_TYPE: u32 = 0x45505954;
export const TAG_PATH: u32 = 0x48544150;
export const TAG_RADI: u32 = 0x49444152;
export const TAG_PUBK: u32 = 0x4b425550;
export const TAG_MIDP: u32 = 0x5044494d;
export const TAG_SREP: u32 = 0x50455253;
export const TAG_VERS: u32 = 0x53524556;
export const TAG_ROOT: u32 = 0x544f4f52;
export const TAG_CERT: u32 = 0x54524543;
export const TAG_MINT: u32 = 0x544e494d;
export const TAG_MAXT: u32 = 0x5458414d;
export const TAG_INDX: u32 = 0x58444e49;
export const TAG_ZZZZ: u32 = 0x5a5a5a5a;

/** RFC 10049. */
export const VERSION_1: u32 = 1;
/** Drafts 12 to 19; 12 and 13 have no TYPE. */
export const VERSION_DRAFT: u32 = 0x8000000c;
/** §5.1.1, §5.2.5: versions in a list. */
const MOST_VERSIONS: i32 = 32;

/** Nonce, hash and key. */
export const HASH_LENGTH: i32 = 32;
export const SIGNATURE_LENGTH: i32 = 64;

/**
 * How long the packet is that begins with these octets: 0 when its first 12 octets are not all there yet, -1 when it is not
 * a Roughtime packet, or one of more than `most` octets. For streams.
 */
export function roughtimePacketLength(packet: usize, available: i32, most: i32): i32 {
  if (available < FRAME_LENGTH) return 0;
  if (load<u64>(packet) != MAGIC) return -1;
  const length = load<u32>(packet, 8);
  return length <= <u32>(most - FRAME_LENGTH) ? FRAME_LENGTH + <i32>length : -1;
}

/** Whether `length` octets are one packet with a well-formed message in it. */
export function packetWellFormed(packet: usize, length: i32): bool {
  return length >= FRAME_LENGTH && roughtimePacketLength(packet, length, length) == length && messageWellFormed(packet + FRAME_LENGTH, length - FRAME_LENGTH);
}

/** Whether `length` octets are exactly one message. */
export function messageWellFormed(message: usize, length: i32): bool {
  if (length < 4 || (length & 3) != 0) return false;
  const count = load<u32>(message);
  if (count == 0) return length == 4;
  // Compared so that no product can overflow.
  if (count > <u32>length >> 3) return false;
  const room = <u32>length - (count << 3);
  const tags = message + (<usize>count << 2);
  let end: u32 = 0;
  for (let i: u32 = 1; i < count; i++) {
    const offset = load<u32>(message + (<usize>i << 2));
    if ((offset & 3) != 0 || offset < end || offset > room) return false;
    if (load<u32>(tags + (<usize>i << 2)) <= load<u32>(tags + (<usize>(i - 1) << 2))) return false;
    end = offset;
  }
  return true;
}

let foundLength: i32 = 0;

/** Octets of the value that {@link findValue} found last. A global, so that two results need no allocation. */
export function valueLength(): i32 {
  return foundLength;
}

/** Where the value of a tag lies in a well-formed message; 0 when it has no such tag. */
export function findValue(message: usize, length: i32, tag: u32): usize {
  const count = load<u32>(message);
  const tags = message + (<usize>count << 2);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(tags + (<usize>i << 2)) != tag) continue;
    const values = message + (<usize>count << 3);
    const start = i == 0 ? 0 : load<u32>(message + (<usize>i << 2));
    const end = i + 1 == count ? <u32>length - (count << 3) : load<u32>(message + (<usize>(i + 1) << 2));
    foundLength = <i32>(end - start);
    return values + <usize>start;
  }
  foundLength = 0;
  return 0;
}

/** Whether a list of versions is in order: 1..32 of them, ascending, no repeats (§5.1.1, §5.2.5). */
export function versionsInOrder(list: usize, length: i32): bool {
  if (length < 4 || (length & 3) != 0 || length > MOST_VERSIONS << 2) return false;
  for (let at: i32 = 4; at < length; at += 4) {
    if (load<u32>(list + <usize>at) <= load<u32>(list + <usize>at - 4)) return false;
  }
  return true;
}

export function versionListed(list: usize, length: i32, version: u32): bool {
  for (let at: i32 = 0; at < length; at += 4) {
    if (load<u32>(list + <usize>at) == version) return true;
  }
  return false;
}

/** Begin a packet; returns where its message goes. */
export function startPacket(packet: usize, messageLength: i32): usize {
  store<u64>(packet, MAGIC);
  store<u32>(packet, messageLength, 8);
  return packet + FRAME_LENGTH;
}

let writing: usize = 0;
let writingCount: usize = 0;
let written: usize = 0;
let writtenOctets: u32 = 0;

/** Begin a message of `count` tags at `message`. The tags MUST then be put in ascending order, all of them. */
export function startMessage(message: usize, count: i32): void {
  store<u32>(message, count);
  writing = message;
  writingCount = <usize>count;
  written = 0;
  writtenOctets = 0;
}

/** Put the next tag; returns where its value of `length` octets (a multiple of four) goes. */
export function putTag(tag: u32, length: i32): usize {
  if (written > 0) store<u32>(writing + (written << 2), writtenOctets);
  store<u32>(writing + ((writingCount + written) << 2), tag);
  const at = writing + (writingCount << 3) + <usize>writtenOctets;
  written += 1;
  writtenOctets += <u32>length;
  return at;
}
