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

it("roughtime, not synchronised: what Roughtime says, and nothing less", () => {
  expect(certificateTime("roughtime", { synchronised: false, roughtimeMs: 1.7e12 })).toBe(1.7e12);
  expect(() => certificateTime("roughtime", { synchronised: false })).toThrow(expect.objectContaining({ code: "TLS" }));
});
