// SPDX-License-Identifier: MIT OR Apache-2.0
/** At which time certificates are judged, by policy. */
import { expect, it } from "vitest";
import { certificateTime } from "./certtime.ts";

it.each([["system", false], ["system", true], ["until-synced", true], ["roughtime", true]] as const)("%s, synchronised %s: this host's clock", (policy, synchronised) => {
  expect(certificateTime(policy, { synchronised, roughtimeMs: 1 })).toBeUndefined();
});

it("until-synced, not synchronised: validity is not judged", () => {
  expect(certificateTime("until-synced", { synchronised: false })).toBe("any");
});

it("saved, not synchronised: this host's clock, but never before the time that was saved", () => {
  expect(certificateTime("saved", { synchronised: false, savedMs: 2000, hostMs: 1000 })).toBe(2000);
  expect(certificateTime("saved", { synchronised: false, savedMs: 1000, hostMs: 2000 })).toBeUndefined();
  expect(certificateTime("saved", { synchronised: false, hostMs: 2000 })).toBeUndefined();
});

it.each(["until-synced", "saved", "roughtime"] as const)("%s, synchronised by a clock that is not the host's: that clock", (policy) => {
  expect(certificateTime(policy, { synchronised: true, clockMs: 5, savedMs: 9, roughtimeMs: 9 })).toBe(5);
});

it("system is the host's, whatever is known of other clocks", () => {
  expect(certificateTime("system", { synchronised: true, clockMs: 5 })).toBeUndefined();
});

it("roughtime, not synchronised: what Roughtime says, and nothing less", () => {
  expect(certificateTime("roughtime", { synchronised: false, roughtimeMs: 1.7e12 })).toBe(1.7e12);
  expect(() => certificateTime("roughtime", { synchronised: false })).toThrow(expect.objectContaining({ code: "TLS" }));
});
