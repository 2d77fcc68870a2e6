// SPDX-License-Identifier: MIT OR Apache-2.0
/** Server lists: read, refused with the place of the fault, chosen from. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NtpError } from "../errors.ts";
import { parseSource } from "../client/source.ts";
import { base64, chooseServers, parseServerList, sourceText } from "./list.ts";

const KEY = base64(new Uint8Array(32).fill(250));
const entry = (changes: object = {}) => ({ name: "A", version: 1, publicKeyType: "ed25519", publicKey: KEY, addresses: [{ protocol: "udp", address: "a.example:2002" }], ...changes });
const list = (...servers: object[]) => JSON.stringify({ servers });

describe("a server list", () => {
  it("has its servers, sources and where to report", () => {
    const text = JSON.stringify({ servers: [entry()], sources: ["https://a.example/list.json"], reports: "https://b.example/report", more: 1 });
    expect(parseServerList(text)).toEqual({
      servers: [{ name: "A", publicKey: new Uint8Array(32).fill(250), addresses: [{ protocol: "udp", host: "a.example", port: 2002 }] }],
      sources: ["https://a.example/list.json"],
      reports: "https://b.example/report",
    });
  });

  it.each([["192.0.2.1:1", "192.0.2.1", 1], ["[2001:db8::1]:65535", "2001:db8::1", 65535]])("has the address %s", (address, host, port) => {
    const { servers } = parseServerList(list(entry({ addresses: [{ protocol: "tcp", address }] })));
    expect(servers[0]!.addresses).toEqual([{ protocol: "tcp", host, port }]);
  });

  it("leaves out servers of other key types, of older drafts, and Google's first version", () => {
    const { servers } = parseServerList(list(entry({ name: "1" }), entry({ version: 0x8000000c, name: "2" }), entry({ version: 0x8000000b }), entry({ version: 3000600613 }), entry({ version: 0 }), entry({ publicKeyType: "mldsa", publicKey: "?" })));
    expect(servers.map(({ name }) => name)).toEqual(["1", "2"]);
  });

  it.each([
    ["no JSON", "{", "JSON"],
    ["no object", "[]", "at the list"],
    ["no servers", "{}", "at servers"],
    ["a server that is none", list(entry(), [] as object), "at servers[1]"],
    ["a short key", list(entry({ publicKey: "AAAA" })), "at servers[0].publicKey"],
    ["no addresses", list(entry({ addresses: [] })), "at servers[0].addresses"],
    ["another transport", list(entry({ addresses: [{ protocol: "quic", address: "a:1" }] })), "at servers[0].addresses[0].protocol"],
    ["an address without port", list(entry({ addresses: [{ protocol: "udp", address: "a" }] })), "at servers[0].addresses[0].address"],
    ["an address with a zone", list(entry({ addresses: [{ protocol: "udp", address: "[fe80::1%a]:1" }] })), "at servers[0].addresses[0].address"],
    ["port 65536", list(entry({ addresses: [{ protocol: "udp", address: "a:65536" }] })), "at servers[0].addresses[0].address"],
    ["a report URL without TLS", JSON.stringify({ servers: [], reports: "http://a.example" }), "at reports"],
    ["a source that is no URL", JSON.stringify({ servers: [], sources: ["a"] }), "at sources[0]"],
  ])("with %s is refused, and the message says where", (_, text, where) => {
    expect(() => parseServerList(text)).toThrow(NtpError);
    expect(() => parseServerList(text)).toThrow(where);
  });

  it("of any JSON is a list or an NtpError", () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.anything().map((value) => JSON.stringify({ servers: [value] }) ?? "")), (text) => {
      try {
        return parseServerList(text).servers.length >= 0;
      } catch (error) {
        return error instanceof NtpError;
      }
    }));
  });

  it("names each server as a source that can be asked", () => {
    const { servers } = parseServerList(list(entry()));
    expect(parseSource(sourceText(servers[0]!), { roughtime: true })).toMatchObject({ host: "a.example", port: 2002, publicKey: servers[0]!.publicKey });
  });
});

describe("choosing", () => {
  const random = { random: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes) };
  const { servers } = parseServerList(list(...["1", "2", "3", "4", "5"].map((name) => entry({ name }))));

  it("takes each server at most once, and all when there are no more", () => {
    expect(new Set(chooseServers(random, servers, 9).map(({ name }) => name)).size).toBe(5);
    expect(chooseServers(random, servers, 3)).toHaveLength(3);
  });

  it("favours none", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 3000; i++) for (const { name } of chooseServers(random, servers, 2)) counts.set(name, (counts.get(name) ?? 0) + 1);
    // 1200 each, with a deviation of 27.
    for (const { name } of servers) expect(Math.abs(counts.get(name)! - 1200)).toBeLessThan(190);
  });
});
