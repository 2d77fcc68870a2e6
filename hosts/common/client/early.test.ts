// SPDX-License-Identifier: MIT OR Apache-2.0
import { expect, it } from "vitest";
import type { Datagram } from "../host.ts";
import { EarlyDatagrams } from "./early.ts";

const datagram = (octet: number): Datagram => ({ data: Uint8Array.of(octet), from: { address: "192.0.2.1", port: 123 }, receivedNs: 1n, stamp: "kernel" });
const released = (early: EarlyDatagrams): (number | undefined)[] => {
  const octets: (number | undefined)[] = [];
  early.release(({ data }) => octets.push(data[0]));
  return octets;
};

it("come out once, in the order that they came, with all that is known of them", () => {
  const early = new EarlyDatagrams();
  const [first, second] = [datagram(1), datagram(2)];
  early.hold(first);
  early.hold(second);
  const taken: Datagram[] = [];
  early.release((one) => taken.push(one));
  expect(taken).toEqual([first, second]);
  expect(released(early)).toEqual([]);
});

it("keep the octets that came, though the socket uses its memory again", () => {
  const early = new EarlyDatagrams();
  const lent = datagram(1);
  early.hold(lent);
  lent.data.fill(9);
  expect(released(early)).toEqual([1]);
});

it("of a flood keep the first, not the last", () => {
  const early = new EarlyDatagrams(3);
  for (let octet = 0; octet < 200; octet++) early.hold(datagram(octet));
  expect(released(early)).toEqual([0, 1, 2]);
});

it("wait for the next time where they are held again", () => {
  const early = new EarlyDatagrams();
  early.hold(datagram(1));
  early.release((one) => early.hold(one));
  expect(released(early)).toEqual([1]);
});
