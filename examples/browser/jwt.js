// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Tokens with clients whose clocks are wrong: is this one in force? Not by `Date.now()`, and not by a leeway that somebody guessed,
 * but by a clock with a bound. (It says nothing of the signature: a server judges that.)
 */

import { theClock } from "./bundler.js";

/** "valid", "expired", "early", or "unsure" when the bound reaches over an edge: then ask the server. */
export async function judgeToken(token, relay) {
  const clock = await theClock(relay);
  const now = clock.now().getTime() / 1000;
  const [, claims] = token.split(".");
  const { nbf = -Infinity, exp = Infinity } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
  const { uncertainty } = clock;
  if (now - uncertainty >= exp) return "expired";
  if (now + uncertainty < nbf) return "early";
  return now + uncertainty < exp && now - uncertainty >= nbf ? "valid" : "unsure";
}
