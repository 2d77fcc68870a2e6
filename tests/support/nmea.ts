// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A receiver that knows the time: NMEA sentences of any moment.
 *
 * @module
 */

/** A body with its $, checksum and line end. */
export function sentence(body: string): string {
  let sum = 0;
  for (const character of body) sum ^= character.charCodeAt(0);
  return `$${body}*${sum.toString(16).toUpperCase().padStart(2, "0")}\r\n`;
}

const two = (value: number) => String(value).padStart(2, "0");

type Kind = "RMC" | "ZDA" | "GGA" | "GLL" | "GSA";

/** The sentences of the second that began at `ms`. */
export function burst(ms: number, kinds: readonly Kind[]): string {
  const date = new Date(ms);
  const time = `${two(date.getUTCHours())}${two(date.getUTCMinutes())}${two(date.getUTCSeconds())}.00`;
  const [day, month, year] = [two(date.getUTCDate()), two(date.getUTCMonth() + 1), String(date.getUTCFullYear())];
  const place = "4807.038,N,01131.000,E";
  const bodies: Record<Kind, string> = {
    RMC: `GPRMC,${time},A,${place},000.0,084.4,${day}${month}${year.slice(2)},,,A`,
    ZDA: `GPZDA,${time},${day},${month},${year},00,00`,
    GGA: `GPGGA,${time},${place},1,08,0.9,545.4,M,46.9,M,,`,
    GLL: `GPGLL,${place},${time},A,A`,
    GSA: "GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1",
  };
  return kinds.map((kind) => sentence(bodies[kind])).join("");
}
