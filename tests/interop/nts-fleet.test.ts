// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A fleet in small: one machine establishes keys with the core's cookies, another answers NTP, and they share nothing but a
 * secret. Through a rotation, and until a client's cookies are too old.
 */
import { afterEach, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import type { Rotation } from "../../hosts/common/nts/generations.ts";
import { CookieKeyRing } from "../../hosts/common/nts/keys.ts";
import { serveKe } from "../../hosts/common/nts/server.ts";
import { derivedKeys } from "../../hosts/common/nts/stores.ts";
import { NtsCookies } from "../../hosts/common/server/ntscookies.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { isAuthenticReply, ntsRequest } from "../support/nts-packet.ts";
import { issue, makeCa } from "../support/pki.ts";

const DAY = 86_400_000;
const ROTATION: Rotation = { periodMs: DAY, keep: 6, leadMs: DAY / 24 };
const host = await lendHost({ native: false });
const ca = makeCa();
const clock = { ms: Date.UTC(2026, 0, 1, 12) };
const secret = crypto.getRandomValues(new Uint8Array(32));

const rings: CookieKeyRing[] = [];
afterEach(() => rings.splice(0).forEach((ring) => ring.close()));

/** A machine: a core that holds the keys of its ring. */
async function machine() {
  const core = new Core();
  const cookies = new NtsCookies(core, (bytes) => host.random(bytes));
  cookies.seed();
  const ring = await CookieKeyRing.open(derivedKeys(secret), { rotation: ROTATION, now: () => clock.ms, onChange: ({ all, current }) => cookies.setKeys(all, current.id) });
  rings.push(ring);
  return { core, cookies, ring };
}

/** What the core answers to a request. */
function answer(core: Core, request: Uint8Array): Uint8Array {
  const at = core.constant("SLOTS");
  core.bytes.set(request, at);
  const length = core.exports.respond(at, request.length, 1n, core.constant("SERVER"));
  core.exports.stampTransmit(at, 2n);
  return core.bytes.slice(at, at + length);
}

const isRefused = (reply: Uint8Array) => String.fromCharCode(...reply.subarray(12, 16)) === "NTSN";

it.each([15, 30])("with AEAD %i, cookies of one machine open on another for as long as keys are kept, and no longer", async (aead) => {
  const { certificate, key } = issue(ca, { ips: ["127.0.0.1"] });
  const [establishing, answering] = [await machine(), await machine()];
  const server = await serveKe(host, { certificate, key, jar: establishing.cookies, listen: ["127.0.0.1"], port: 0, servers: [{ host: "ntp.example" }] });
  const ask = () => establishKeys(host, { host: "127.0.0.1", kePort: server.addresses[0]!.port, ca: ca.certificate, aeads: [aead], pq: "off" });
  const { cookies, c2s, s2c } = await ask();
  expect(cookies.length).toBe(8);
  const days: boolean[] = [];
  for (let day = 0; day < 9; day++) {
    const request = ntsRequest(cookies[day % 8]!, c2s);
    const reply = answer(answering.core, request);
    expect(reply.length).toBeLessThanOrEqual(request.length);
    const good = isAuthenticReply(request, reply, s2c);
    expect(isRefused(reply)).toBe(!good);
    days.push(good);
    clock.ms += DAY;
    for (const { ring } of [establishing, answering]) await ring.refresh();
  }
  expect(days).toEqual([true, true, true, true, true, true, true, false, false]);
  // Keys established now are as good as the first ones were.
  const fresh = await ask();
  const request = ntsRequest(fresh.cookies[0]!, fresh.c2s);
  expect(isAuthenticReply(request, answer(answering.core, request), fresh.s2c)).toBe(true);
  await server.close();
});
