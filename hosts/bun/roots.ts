// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The root certificates that Bun was built with (Mozilla's list). Tested in tests/contract/lent.test.ts.
 *
 * @module
 */

export { rootCertificates } from "../node/roots.ts";
