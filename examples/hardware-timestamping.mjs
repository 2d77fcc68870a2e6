// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What this machine's network cards can stamp by themselves, and how far their clocks are off the system's; and a server asked
 * with a card's stamps.
 *
 *     node examples/hardware-timestamping.mjs [INTERFACE...]        default: all there are; changes nothing
 *     SERVER=HOST node examples/hardware-timestamping.mjs eth0      switches the card's stamping on, and asks
 *
 * Needs FFI (koffi on Node) on 64-bit Linux; reading a card's clock needs the right to open /dev/ptpN, switching it on
 * CAP_NET_ADMIN. What cannot be had is told, and the kernel stamps instead.
 */

import { networkInterfaces } from "node:os";
import process from "node:process";
import { lendHost, query } from "escapement";

const { devices } = await lendHost();
if (!devices?.hardwareStamping) {
  console.log("This host cannot ask network cards: it needs 64-bit Linux and a way to call C (koffi).");
  process.exit(0);
}

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(networkInterfaces())) {
  const { receive, transmit, phc, reason, clock } = devices.hardwareStamping(name);
  console.log(reason ? `${name}: software time stamps, because ${reason}` : `${name}: hardware time stamps (receive ${receive}, transmit ${transmit}), clock /dev/ptp${phc}`);
  if (clock) console.log(`  its clock is ${clock.ahead.toFixed(9)} s ahead of the system's, within ${clock.window / 2} s (${clock.method})`);
}

const { SERVER } = process.env;
if (SERVER) {
  const options = { hardwareTimestamps: names.length > 0 ? names : true, onSoftwareTimestamps: (reason) => console.log(`the kernel stamps: ${reason}`) };
  const { timestamps, offset, delay } = await query(SERVER, options);
  console.log(`asked: t1 by the ${timestamps.t1}, t4 by the ${timestamps.t4}, offset ${offset.toFixed(9)} s, delay ${delay.toFixed(9)} s`);
}
