// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page loads when it first asks through a relay: one file, as that compresses better and travels sooner than nine.
 *
 * Elsewhere these are loaded one by one; build/bundle.mjs leads such an import here. No logic.
 * Tested in tests/browser/relay.test.ts.
 *
 * @module
 */

export { hostBy } from "../full.ts";
export { query } from "../../common/client/query.ts";
export { establishKeys } from "../../common/nts/client.ts";
export { certificateTime } from "../../common/nts/certtime.ts";
export { connectTls } from "../../common/tls/connect.ts";
