// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Control messages, mode 6 (RFC 9327 §2): the frame around the text that `ntpq` asks for. Reading only.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |LI | VN  |  6  |R|E|M| Opcode  |           Sequence            |
 * 4 |            Status             |        Association id         |
 * 8 |            Offset             |             Count             |
 * 12|         Data, up to 468 octets, padded to 32 bits ...         |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * R says that it is a response, E an error (its code is the high octet of Status), M that more fragments follow. A MAC behind
 * the data is passed over: reading needs none. Neither responses nor fragments are taken as requests, so that no two servers
 * talk to each other. Tested in control.test.ts at every truncation.
 */

import { modeOf } from "./header";

export const CONTROL_HEADER: i32 = 12;
/** Octets of data in one fragment. */
export const CONTROL_DATA: i32 = 468;
const MODE_CONTROL: i32 = 6;

// The second octet.
const RESPONSE: u8 = 0x80;
const ERROR: u8 = 0x40;
const MORE: u8 = 0x20;
const OPCODE: u8 = 0x1f;

const AT_FLAGS: usize = 0;
const AT_OPERATION: usize = 1;
const AT_SEQUENCE: usize = 2;
const AT_STATUS: usize = 4;
const AT_ASSOCIATION: usize = 6;
const AT_OFFSET: usize = 8;
const AT_COUNT: usize = 10;

/** A request, or what a response says. Hosts reach it through the exported CONTROL_* offsets. */
@unmanaged
export class Control {
  version: i32;
  opcode: i32;
  sequence: i32;
  association: i32;
  /** Octets of data. */
  count: i32;
  /** Of a response. */
  status: i32;
  /** Of a response: where in the whole its data stand. */
  offset: i32;
  more: i32;
  error: i32;
}

function read16(at: usize): i32 {
  return <i32>bswap<u16>(load<u16>(at));
}

function write16(at: usize, value: i32): void {
  store<u16>(at, bswap<u16>(<u16>value));
}

/** Is it a whole request, in one piece? */
export function isControlRequest(packet: usize, length: i32): bool {
  if (length < CONTROL_HEADER || modeOf(packet) != MODE_CONTROL) return false;
  if ((load<u8>(packet + AT_OPERATION) & (RESPONSE | ERROR | MORE)) != 0 || read16(packet + AT_OFFSET) != 0) return false;
  const count = read16(packet + AT_COUNT);
  return count <= CONTROL_DATA && CONTROL_HEADER + count <= length;
}

/** Take a request apart; its data stand behind the header. Returns false when it is none. */
export function readControl(packet: usize, length: i32, control: Control): bool {
  if (!isControlRequest(packet, length)) return false;
  control.version = (<i32>load<u8>(packet + AT_FLAGS) >> 3) & 7;
  control.opcode = <i32>(load<u8>(packet + AT_OPERATION) & OPCODE);
  control.sequence = read16(packet + AT_SEQUENCE);
  control.association = read16(packet + AT_ASSOCIATION);
  control.count = read16(packet + AT_COUNT);
  control.status = 0;
  control.offset = 0;
  control.more = 0;
  control.error = 0;
  return true;
}

/** Write the frame of a response around `count` octets of data that stand behind the header already. Returns its length. */
export function writeControl(packet: usize, control: Control): i32 {
  const count = max(0, min(control.count, CONTROL_DATA));
  store<u8>(packet + AT_FLAGS, <u8>(((control.version & 7) << 3) | MODE_CONTROL));
  const flags = RESPONSE | (control.error != 0 ? ERROR : 0) | (control.more != 0 ? MORE : 0);
  store<u8>(packet + AT_OPERATION, flags | <u8>(control.opcode & OPCODE));
  write16(packet + AT_SEQUENCE, control.sequence);
  write16(packet + AT_STATUS, control.status);
  write16(packet + AT_ASSOCIATION, control.association);
  write16(packet + AT_OFFSET, control.offset);
  write16(packet + AT_COUNT, count);
  const padded = (count + 3) & ~3;
  memory.fill(packet + CONTROL_HEADER + <usize>count, 0, padded - count);
  return CONTROL_HEADER + padded;
}
