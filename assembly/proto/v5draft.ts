// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which drafts of NTPv5 are spoken, and the field that says so (draft-ietf-ntp-ntpv5, "Draft Identification").
 *
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |            0xF5FF             |        4 + octets of text     |
 * 4 |         Name of the draft in ASCII, without a NUL ...         |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Who asks names one draft; a server that does not know it says nothing at all. Drafts that differ in nothing on the wire are
 * all answered; a client begins with the first and goes on to the next while nobody answers. Tested in assembly/server/v5.test.ts.
 */

import { FIELD_HEADER, fieldLength, fieldSpan, fieldType } from "./extension";
import { HEADER_LENGTH } from "./header";
import { FIELD_DRAFT, startField5 } from "./v5";

/** The newest, and the one asked for first. */
@lazy const DRAFT: string = "draft-ietf-ntp-ntpv5-09";
/** The same on the wire; what ntpd-rs 1.9 speaks. */
@lazy const DRAFT_BEFORE: string = "draft-ietf-ntp-ntpv5-08";
export const DRAFTS: i32 = 2;

/** Length, then text, of each. */
const STRIDE: usize = 64;
const drafts: usize = memory.data(2 * 64, 8);

function learn(index: i32, text: string): void {
  const at = drafts + <usize>index * STRIDE;
  store<i32>(at, text.length);
  for (let i = 0; i < text.length; i++) store<u8>(at + 8 + <usize>i, <u8>text.charCodeAt(i));
}

if (!isDefined(PAGE)) {
  learn(0, DRAFT);
  learn(1, DRAFT_BEFORE);
}

/** Name of draft `index`, the newest first; "" where there is none. Cold. */
export function draftName(index: i32): string {
  return index == 0 ? DRAFT : index == 1 ? DRAFT_BEFORE : "";
}

/** Append the field that names draft `index`. Returns its octets, padding and all. */
export function writeDraft(out: usize, index: i32): i32 {
  const at = drafts + <usize>(index & 1) * STRIDE;
  const length = load<i32>(at);
  const span = (FIELD_HEADER + length + 3) & ~3;
  memory.fill(out, 0, span);
  startField5(out, FIELD_DRAFT, FIELD_HEADER + length);
  memory.copy(out + FIELD_HEADER, at + 8, length);
  return span;
}

/** Is the text of `length` octets at `at` the name of draft `index`? Names have more than eight octets. */
function isDraft(at: usize, length: i32, index: i32): bool {
  const ours = drafts + <usize>index * STRIDE;
  if (load<i32>(ours) != length) return false;
  const last = <usize>length - 8;
  for (let i: usize = 0; i < last; i += 8) if (load<u64>(at + i) != load<u64>(ours + 8 + i)) return false;
  return load<u64>(at + last) == load<u64>(ours + 8 + last);
}

/** All drafts that are spoken have names of as many octets; a field of them, with its padding, has these. */
export const DRAFT_SPAN: i32 = 28;
/** Its type and length, as they lie in memory. */
const DRAFT_START: u32 = 0x1b00fff5;

/** Does a field of {@link DRAFT_SPAN} octets name a draft that is spoken? A shorter way to say it than {@link knowsDraft}. */
export function namesDraftAlone(field: usize): bool {
  if (load<u32>(field) != DRAFT_START) return false;
  const first = load<u64>(field, 4);
  const second = load<u64>(field, 12);
  const last = load<u64>(field, 19);
  for (let at = drafts + 8; at < drafts + 8 + <usize>DRAFTS * STRIDE; at += STRIDE) {
    if (first == load<u64>(at) && second == load<u64>(at, 8) && last == load<u64>(at, 15)) return true;
  }
  return false;
}

/** Whether a request, whose fields were found well formed, names a draft that is spoken here; the first name counts. */
export function knowsDraft(packet: usize, fieldsEnd: i32): bool {
  for (let at = HEADER_LENGTH; at < fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    const field = packet + <usize>at;
    if (fieldType(field) != FIELD_DRAFT) continue;
    const length = fieldLength(field) - FIELD_HEADER;
    for (let index = 0; index < DRAFTS; index++) if (isDraft(field + FIELD_HEADER, length, index)) return true;
    return false;
  }
  return false;
}
