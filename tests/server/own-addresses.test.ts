// SPDX-License-Identifier: MIT OR Apache-2.0
/** A server on all addresses: each that the machine has gets a socket of its own, and none is deaf for it. */
import dgram from "node:dgram";
import type { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import type { OpenedSockets, SocketPlan } from "../../hosts/common/server/threads.ts";
import * as linux from "../../hosts/native/linux.ts";
import { Block } from "../../hosts/native/memory.ts";
import { applyAddress, setOption } from "../../hosts/native/open.ts";
import { ownAddresses } from "../../hosts/native/own-addresses.ts";
import { libc } from "./built.ts";
import { option, sockets } from "./sockets.ts";

/** On all addresses of a machine that has these. */
const onAll = (own: readonly string[], plan: Partial<SocketPlan> = {}): OpenedSockets => sockets({ listen: undefined, ...plan }, { own: () => [...own] });

/** Which of the sockets heard a datagram to `address`. */
async function heardBy(descriptors: readonly number[], address: string, port: number): Promise<number[]> {
  const client = dgram.createSocket("udp4");
  await new Promise<void>((resolve, reject) => client.send("x", port, address, (error) => (error ? reject(error) : resolve())));
  client.close();
  const entries = new Block(libc!.ffi, 8 * descriptors.length);
  descriptors.forEach((fd, index) => {
    entries.view.setInt32(8 * index, fd, true);
    entries.view.setInt16(8 * index + 4, linux.POLLIN, true);
  });
  expect(libc!.poll(entries.address, descriptors.length, 5000)).toBe(1);
  return descriptors.flatMap((_, index) => (entries.view.getInt16(8 * index + 6, true) === 0 ? [] : [index]));
}

describe.skipIf(!libc)("a server on all addresses", () => {
  it("has a socket for each that the machine has, which is not told of and need not say where it answers from", () => {
    const { sets, addresses } = onAll(["127.0.0.1", "127.0.0.5"]);
    const [all, ...own] = sets[0]!;
    expect(own).toHaveLength(2);
    expect(option(all!, linux.SOL_IP, linux.IP_PKTINFO)).toBe(1);
    for (const fd of own) expect(option(fd, linux.SOL_IP, linux.IP_PKTINFO)).toBe(0);
    expect(addresses.map(({ address }) => address)).toEqual(addresses.length === 2 ? ["0.0.0.0", "::"] : ["0.0.0.0"]);
  });

  it("hears what comes to one of these there, and to any other on the first", async () => {
    const { sets: [set], addresses } = onAll(["127.0.0.1", "127.0.0.5"]);
    const { port } = addresses[0]!;
    expect(await heardBy(set!, "127.0.0.5", port)).toEqual([2]);
    onAll([]);
    const other = onAll(["127.0.0.1"]);
    expect(await heardBy(other.sets[0]!, "127.0.0.9", other.addresses[0]!.port)).toEqual([0]);
  });

  it("does without an address that has gone", () => {
    const { sets, addresses } = onAll(["192.0.2.1", "127.0.0.1"], { sets: 2 });
    expect(sets.map((set) => set.length)).toEqual([2, 2]);
    expect(new Set(addresses.map(({ port }) => port)).size).toBe(1);
  });

  it("still refuses a port that somebody else has", () => {
    const { port } = onAll(["127.0.0.1"]).addresses[0]!;
    expect(() => onAll(["127.0.0.1"], { port })).toThrow("EADDRINUSE");
  });

  it("lets nobody in beside it, whatever options he has", () => {
    const { port } = onAll(["127.0.0.1"]).addresses[0]!;
    for (const name of [linux.SO_REUSEADDR, linux.SO_REUSEPORT]) {
      const fd = libc!.socket(linux.AF_INET, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
      try {
        setOption(libc!, fd, [linux.SOL_SOCKET, name, 1]);
        for (const address of ["127.0.0.1", "127.0.0.9", "0.0.0.0"]) {
          expect(() => applyAddress(libc!, "bind", fd, { family: 4, endpoint: { address, port } })).toThrow("EADDRINUSE");
        }
      } finally {
        libc!.close(fd);
      }
    }
  });

  it("has no more than the wait for them bears", () => {
    expect(onAll(Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`)).sets[0]).toHaveLength(17);
  });

  it("announces through the first", async () => {
    const heard = dgram.createSocket("udp4");
    await new Promise<void>((resolve) => heard.bind(0, "127.0.0.1", resolve));
    const came = new Promise<dgram.RemoteInfo>((resolve) => heard.once("message", (_, from) => resolve(from)));
    const { announce, addresses } = onAll(["127.0.0.5"]);
    announce(new Uint8Array(48), { address: "127.0.0.1", port: heard.address().port, ttl: 1 });
    expect(await came).toMatchObject({ address: "127.0.0.1", port: addresses[0]!.port });
    heard.close();
  });
});

describe("the machine's addresses", () => {
  const one = (address: string) => ({ address }) as NonNullable<ReturnType<typeof networkInterfaces>[string]>[number];
  const interfaces = () => ({ lo: [one("127.0.0.1"), one("::1")], eth0: [one("192.0.2.7"), one("fe80::1"), one("2001:db8::7")], eth1: [one("192.0.2.7"), one("febf::2")] });

  it("are those of all interfaces or of one, each once, without those of one link", () => {
    expect(ownAddresses(undefined, interfaces)).toEqual(["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"]);
    expect(ownAddresses("eth1", interfaces)).toEqual(["192.0.2.7"]);
    expect(ownAddresses("eth2", interfaces)).toEqual([]);
  });

  it("are none where this process may not ask", () => {
    const denied = () => {
      throw new Error("Requires sys access");
    };
    expect(ownAddresses(undefined, denied)).toEqual([]);
  });
});
