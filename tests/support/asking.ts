// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host in memory that asks one source once, made anew for each test. After each test no socket and no timer may be left. Time is
 * virtual.
 *
 * @module
 */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { NtpError } from "../../hosts/common/errors.ts";
import { query, type QueryOptions } from "../../hosts/common/client/query.ts";
import type { Sample } from "../../hosts/common/client/sample.ts";
import { FakeHost, inVirtualTime, type Behaviour, type Ending } from "./fake-host.ts";

export const A = "192.0.2.1";
export const B = "192.0.2.2";
export const C = "192.0.2.3";
export const V6 = "2001:db8::1";

class AskingStage {
  host!: FakeHost;

  /** Ask, let time pass, and let what is still under way in the network die away. */
  readonly ask = async (source: string, options?: QueryOptions): Promise<Ending<Sample>> => {
    const ending = await inVirtualTime(() => query(this.host, source, options));
    expect(this.host.openSockets).toEqual([]);
    const asked = this.host.asked.length;
    await vi.runAllTimersAsync();
    expect(this.host.asked.length).toBe(asked); // nothing is sent once it has settled
    return ending;
  };

  /** A world of several addresses under the name "time". */
  readonly world = (script: Record<string, Behaviour | Behaviour[]>): void => {
    this.host.name("time", Object.keys(script));
    for (const [address, behaviour] of Object.entries(script)) this.host.at(address, ...[behaviour].flat());
  };
}

/** For each test of a file a host, and a look at what it left. */
export function askingStage(): AskingStage {
  const stage = new AskingStage();
  beforeEach(() => {
    vi.useFakeTimers();
    stage.host = new FakeHost();
  });
  afterEach(() => {
    const left = { sockets: stage.host.openSockets.length, timers: vi.getTimerCount() };
    vi.useRealTimers();
    expect(left).toEqual({ sockets: 0, timers: 0 });
  });
  return stage;
}

export function sampleOf({ value, error }: Ending<Sample>): Sample {
  if (!value) throw error;
  return value;
}

export function errorFrom({ error }: Ending<Sample>): NtpError {
  expect(error).toBeInstanceOf(NtpError);
  return error as NtpError;
}
