// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The sockets of a server, opened for a test and closed after it, and their options as the kernel has them.
 *
 * @module
 */

import { afterEach, expect } from "vitest";
import type { OpenedSockets, SocketPlan } from "../../hosts/common/server/threads.ts";
import { Block } from "../../hosts/native/memory.ts";
import { openServerSockets, type Machine } from "../../hosts/native/server-sockets.ts";
import { libc } from "./built.ts";

let open: OpenedSockets[] = [];
afterEach(() => {
  for (const sockets of open) sockets.close();
  open = [];
});

const PLAN: SocketPlan = { listen: ["127.0.0.1"], port: 0, sets: 1, device: undefined, dscp: undefined, receiveBuffer: 262_144, broadcast: false };

/** On 127.0.0.1 and any port, unless `plan` says otherwise. */
export function sockets(plan: Partial<SocketPlan> = {}, machine: Machine = {}): OpenedSockets {
  const opened = openServerSockets(libc!, { ...PLAN, ...plan }, machine);
  open.push(opened);
  return opened;
}

export function option(fd: number, level: number, name: number): number {
  const { getsockopt } = libc!.ffi.open(null, { getsockopt: ["i32", "i32", "i32", "i32", "pointer", "pointer"] });
  const block = new Block(libc!.ffi, 24);
  block.view.setUint32(16, 16, true);
  expect(getsockopt(fd, level, name, block.address, block.address + 16)).toBe(0);
  return block.view.getInt32(0, true);
}
