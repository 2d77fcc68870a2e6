// SPDX-License-Identifier: MIT OR Apache-2.0
/** Every spelling of a source, and what is no source. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NtpError } from "../errors.ts";
import { formatEndpoint } from "../address.ts";
import { parseSource } from "./source.ts";

describe("a source", () => {
  it.each([
    ["time.example.org", "time.example.org", 123],
    ["time.example.org:4123", "time.example.org", 4123],
    ["localhost", "localhost", 123],
    ["localhost:12300", "localhost", 12300],
    ["192.0.2.1", "192.0.2.1", 123],
    ["192.0.2.1:1", "192.0.2.1", 1],
    ["192.0.2.1:65535", "192.0.2.1", 65535],
    ["2001:db8::1", "2001:db8::1", 123],
    ["::1", "::1", 123],
    ["::", "::", 123],
    ["2001:DB8::1:123", "2001:DB8::1:123", 123],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1", 123],
    ["fe80::1%eth0", "fe80::1%eth0", 123],
    ["[2001:db8::1]", "2001:db8::1", 123],
    ["[2001:db8::1]:4123", "2001:db8::1", 4123],
    ["[fe80::1%eth0]:4123", "fe80::1%eth0", 4123],
    ["ntp:time.example.org", "time.example.org", 123],
    ["ntp://time.example.org", "time.example.org", 123],
    ["ntp://time.example.org/", "time.example.org", 123],
    ["NTP://time.example.org:4123", "time.example.org", 4123],
    ["ntp://[2001:db8::1]:4123/", "2001:db8::1", 4123],
    ["ntp:2001:db8::1", "2001:db8::1", 123],
    ["  time.example.org\n", "time.example.org", 123],
    ["zeit.münchen.example", "zeit.münchen.example", 123],
  ])("written %j is read", (text, host, port) => {
    expect(parseSource(text)).toEqual({ text: text.trim(), scheme: "ntp", host, port });
  });

  it("may be a URL object", () => {
    expect(parseSource(new URL("ntp://time.example.org:4123"))).toMatchObject({ host: "time.example.org", port: 4123 });
    expect(parseSource(new URL("ntp://[2001:db8::1]"))).toMatchObject({ host: "2001:db8::1", port: 123 });
  });

  it("named like a scheme is a name with a port, not a URL", () => {
    expect(parseSource("http:123")).toMatchObject({ host: "http", port: 123 });
  });

  it("with a name that looks like hexadecimal is a name with a port, not IPv6", () => {
    expect(parseSource("cafe:123")).toMatchObject({ host: "cafe", port: 123 });
  });
});

describe("what is no source is refused by a message that shows what came and what would do", () => {
  it.each([
    "", " ", ":", ":123", "host:", "host:0", "host:65536", "host:99999999999999999999", "host:12a", "host:1:2", "host name", "[2001:db8::1",
    "2001:db8::1]:123", "[]", "[]:123", "ntp:", "ntp://", "ntp://:123", "ntp://host/path", "ntp://host?x", "ntp://host#x", "ntp://user@host",
    "::1:25123", "2001:db8::1:65536", "[2001:db8::1::2]:123", "[host]:123", "999.1.1.1", "192.0.2.256:123", "ntp://1:2:3:4:5:6:7:8:9",
    "192.0.2.1:ntp", "http://host", "https://time.example.org:123", "http:", "file:///etc/passwd", "ntp://host:-1", "host:+1", "host:1e2",
  ])("%j", (text) => {
    const error = caught(text);
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", source: text.trim() });
    expect(error?.message).toContain(`got "${text.trim()}"`);
    expect(error?.message).toContain("time.example.org");
    expect(error?.message).toContain("1..65535");
  });

  it.each([["roughtime:host:2002#AAAA", "query()"], ["relay:wss://example.org", "--relay"]])("%j is no source to follow, and %s is what to use", (text, instead) => {
    expect(caught(text)).toMatchObject({ code: "UNSUPPORTED", source: text });
    expect(caught(text)?.message).toContain(text);
    expect(caught(text)?.message).toContain(instead);
  });
});

describe("for any string whatever", () => {
  it("there is a source or an NtpError, never another error", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[a-f0-9:.%[\]/@?#ntp ]{0,24}$/)), (text) => {
        const error = caught(text);
        if (error !== undefined) return void expect(error).toBeInstanceOf(NtpError);
        const { host, port } = parseSource(text);
        expect(host).not.toBe("");
        expect(port >= 1 && port <= 65535 && Number.isInteger(port)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("a host and port written by formatEndpoint are read back", () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65535 }), (address, port) => {
        expect(parseSource(formatEndpoint({ address, port }))).toMatchObject({ host: address, port });
        expect(parseSource(`ntp://${formatEndpoint({ address, port })}`)).toMatchObject({ host: address, port });
      }),
    );
  });
});

function caught(text: string): NtpError | undefined {
  try {
    parseSource(text);
    return undefined;
  } catch (error) {
    return error as NtpError;
  }
}
