// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Before anything else is done with a request: whether its sender gets time, a kiss or nothing.
 *
 * Each look-up happens only if the feature that needs it is on, and only for senders whose address was told. Whoever the
 * access list denies leaves no trace but a count. Tested in answer.test.ts.
 */

import { ACCESS_ALLOW, ACCESS_DENY, ACCESS_KISS, ACCESS_LIMITED, ACCESS_UNLIMITED, LIST_CONTROL, LIST_TIME, accessOf } from "./access";
import { Client, KIND_ADDRESS, clientHash, clientHeard, clientOf, clientsForget } from "./clients";
import { counters } from "./counters";
import { Incoming } from "./incoming";
import { KISS, LEAK, PASS, limit, limitOn, limitsInUse, mayKiss } from "./ratelimit";
import { Timestamp } from "../proto/timestamp";

export const GATE_ANSWER: i32 = 0;
export const GATE_SILENT: i32 = 1;
export const GATE_KISS_DENY: i32 = 2;
export const GATE_KISS_RATE: i32 = 3;

let logging: bool = false;
let controlling: bool = false;

/** Keep a log of clients, also where nothing is limited. Off, with no limits, forgets them. */
export function gateLog(on: bool): void {
  logging = on;
  if (!on && !limitsInUse()) clientsForget();
}

/** Hand control messages to the host, from addresses that list LIST_CONTROL allows. */
export function gateControl(on: bool): void {
  controlling = on;
}

/** Does a request from a known sender need a client's record? Then its hash may be worked out beforehand. */
export function gateLooksUp(): bool {
  return logging || limitsInUse();
}

/** `now`: on the clock that does not step. `hash`: of the sender's address where that was worked out, else 0. */
export function gate(from: Incoming, now: Timestamp, hash: u64): i32 {
  if (!from.known) return GATE_ANSWER;
  const action = accessOf(LIST_TIME, from.high, from.low, ACCESS_ALLOW);
  if (action == ACCESS_DENY) {
    counters.denied += 1;
    return GATE_SILENT;
  }
  const limited = action != ACCESS_UNLIMITED && limitOn(action == ACCESS_LIMITED);
  // A kiss needs a record, too: that of its budget.
  if (!limited && !logging && action != ACCESS_KISS) return GATE_ANSWER;
  const key = hash != 0 ? hash : clientHash(from.high, from.low, KIND_ADDRESS);
  const client = clientOf(from.high, from.low, KIND_ADDRESS, key, now, 0);
  from.client = changetype<usize>(client);
  clientHeard(client, now);
  if (action == ACCESS_KISS) return kissed(client, now);
  return limited ? verdictOn(client, from, now) : GATE_ANSWER;
}

function kissed(client: Client, now: Timestamp): i32 {
  if (mayKiss(client, now)) return GATE_KISS_DENY;
  counters.denied += 1;
  return GATE_SILENT;
}

function verdictOn(client: Client, from: Incoming, now: Timestamp): i32 {
  const verdict = limit(client, from, now);
  if (verdict == PASS) return GATE_ANSWER;
  if (verdict == LEAK) {
    counters.leaked += 1;
    return GATE_ANSWER;
  }
  client.dropped = client.dropped == u32.MAX_VALUE ? client.dropped : client.dropped + 1;
  if (verdict == KISS) return GATE_KISS_RATE;
  counters.limited += 1;
  return GATE_SILENT;
}

/** May a control message from there be handed to the host? */
export function gateControls(from: Incoming): bool {
  return controlling && from.known != 0 && accessOf(LIST_CONTROL, from.high, from.low, ACCESS_DENY) == ACCESS_ALLOW;
}
