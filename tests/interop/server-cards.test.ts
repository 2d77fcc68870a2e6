// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chronyd as a client of our server where a network card stamps: the card is a fake under real sockets, 37 s ahead of the system's
 * clock; what chronyd measures is near nought only where every stamp was moved to the system's clock.
 */

import { describe, expect, it } from "vitest";
import { libc } from "../server/built.ts";
import { AHEAD, cardServer } from "../support/card-server.ts";
import { eventually, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { chronyClient, numberIn } from "./chrony.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);

describe.skipIf(skipped !== undefined || !libc)(titled("chronyd asks a server whose card stamps", skipped), () => {
  it("and measures in interleaved mode by the card's stamps of both directions", async () => {
    const address = loopbackAlias();
    using server = await cardServer(libc!, (kernelNs) => kernelNs + AHEAD, { interleaved: true, listen: [address] });
    server.pump();
    await using client = await chronyClient([`server ${address} port ${server.port} minpoll -3 maxpoll -3 xleave`]);
    const report = await eventually("chronyd to measure in interleaved mode", async () => {
      const now = await client.report("ntpdata", address);
      return now.get("Interleaved") === "Yes" && numberIn(now, "Total good RX") >= 12 ? now : undefined;
    }, client.peer);
    expect(report.get("NTP tests")).toBe("111 111 1111");
    expect(Math.abs(numberIn(report, "Offset"))).toBeLessThan(5e-3);
    const { received, interleaved, stamps, hardwareReceived, hardwareSent, hardwareRefused } = server.server.counters;
    expect([hardwareReceived, hardwareRefused, server.told]).toEqual([received, 0, []]);
    expect(interleaved).toBeGreaterThan(6);
    // Each that the kernel stamped the card stamped as well; the last may be on its way.
    expect(stamps - hardwareSent).toBeLessThanOrEqual(1);
    expect(hardwareSent).toBeGreaterThan(6);
  });
});
