// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which extension fields this build understands, and who handles them.
 *
 * A handler is told where the field lies and where its answer may go:
 *
 *   request handler   server side: read `field`, write the answer at `out`, return its length (0: no answer)
 *   reply handler     client side: read `field` into the state the caller prepared, return 1 when it was well formed
 *
 * A request handler MUST NOT write more octets than `field` has, so that a reply is never longer than its request and
 * answers can be written over fields already read. Fields nobody registered are passed over, as RFC 7822 §7.5 asks.
 *
 * Tested in extension.test.ts and, against a program we did not write, in tests/interop.
 */

import { LAST_FIELD_MINIMUM, Trailer, fieldLength, fieldType } from "./extension";
import { HEADER_LENGTH } from "./header";

/** `(field, length, out) → length written` */
export type FieldHandler = (field: usize, length: i32, out: usize) => i32;

const CAPACITY: i32 = 16;

@unmanaged
class Entry {
  type: i32;
  onRequest: i32;
  onReply: i32;
}

const entries: usize = memory.data(CAPACITY * offsetof<Entry>(), 8);
let used: i32 = 0;

function entryAt(index: i32): Entry {
  return changetype<Entry>(entries + <usize>index * offsetof<Entry>());
}

/** Add a field type, or replace its handlers. Returns false when the table is full. */
export function register(type: i32, onRequest: FieldHandler, onReply: FieldHandler): bool {
  let entry = find(type);
  if (changetype<usize>(entry) == 0) {
    if (used == CAPACITY) return false;
    entry = entryAt(used++);
    entry.type = type;
  }
  entry.onRequest = onRequest.index;
  entry.onReply = onReply.index;
  return true;
}

function find(type: i32): Entry {
  for (let i = 0; i < used; i++) {
    const entry = entryAt(i);
    if (entry.type == type) return entry;
  }
  return changetype<Entry>(0);
}

/**
 * Answer every known field of a request in place: answers are packed behind the header. Returns the reply's length.
 * The caller has read `trailer` and found the packet well formed.
 */
export function answerFields(packet: usize, trailer: Trailer): i32 {
  let out = HEADER_LENGTH;
  let last = HEADER_LENGTH;
  let at = HEADER_LENGTH;
  while (at < trailer.fieldsEnd) {
    const field = packet + <usize>at;
    // Taken first: the answer may be written over it.
    const length = fieldLength(field);
    const written = answerField(field, packet + <usize>out);
    if (written > 0) last = out;
    out += written;
    at += length;
  }
  // Behind a MAC nothing can be mistaken for one, and it leaves no room either.
  return out == HEADER_LENGTH || trailer.macLength != 0 ? out : lengthenLast(packet, last, out);
}

/** Answer one field at `out`. Returns the answer's length; 0 when the type is not known, or the handler has nothing to say. */
export function answerField(field: usize, out: usize): i32 {
  const entry = find(fieldType(field));
  return changetype<usize>(entry) == 0 ? 0 : call_indirect<i32>(entry.onRequest, field, fieldLength(field), out);
}

/**
 * The reply carries no MAC, so its last field must not be mistaken for one. The request had room: its own last field was
 * as long.
 */
function lengthenLast(packet: usize, last: i32, end: i32): i32 {
  const missing = LAST_FIELD_MINIMUM - (end - last);
  if (missing <= 0) return end;
  memory.fill(packet + <usize>end, 0, missing);
  store<u16>(packet + <usize>last, bswap<u16>(<u16>LAST_FIELD_MINIMUM), 2);
  return end + missing;
}

/** Hand every known field of a reply to its handler. Returns false when one was not well formed. */
export function readFields(packet: usize, trailer: Trailer): bool {
  let at = HEADER_LENGTH;
  let wellFormed = true;
  while (at < trailer.fieldsEnd) {
    const field = packet + <usize>at;
    const length = fieldLength(field);
    const entry = find(fieldType(field));
    if (changetype<usize>(entry) != 0 && call_indirect<i32>(entry.onReply, field, length, 0) == 0) wellFormed = false;
    at += length;
  }
  return wellFormed;
}
