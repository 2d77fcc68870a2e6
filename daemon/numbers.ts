// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What reports tell, for people: numbers with their units, codes as words. Shared by the command and the page, so it imports
 * nothing. Tested in cli/usage.test.ts and cli/observe.test.ts.
 *
 * @module
 */

/** Seconds with a unit that leaves one to three digits before the point: "+1.234 ms", "0.8 µs". */
export function seconds(value: number, { sign = false }: { sign?: boolean } = {}): string {
  const size = Math.abs(value);
  const [factor, unit] = size >= 1 || size === 0 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : size >= 1e-6 ? [1e6, "µs"] : [1e9, "ns"];
  const text = (size * factor).toFixed(unit === "ns" ? 0 : 3);
  return `${value < 0 ? "-" : sign ? "+" : ""}${text} ${unit}`;
}

/** How long ago: seconds, minutes, hours, days, as chronyc's LastRx. */
export function age(seconds: number | null): string {
  if (seconds === null) return "-";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 1000) return String(whole);
  const minutes = Math.round(whole / 60);
  if (minutes < 1000) return `${minutes}m`;
  const hours = Math.round(whole / 3600);
  return hours < 1000 ? `${hours}h` : `${Math.round(whole / 86400)}d`;
}

/** A number with its sign and so many digits after the point; "-" for what is not known. */
export function signed(value: number | null, digits: number): string {
  return value === null ? "-" : `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
}

/** The code of a reference clock in a refid of eight hexadecimal digits: ASCII, padded with zeros. */
export function codeOf(refid: string): string {
  const octets = (refid.match(/../g) ?? []).map((digits) => parseInt(digits, 16)).filter((octet) => octet > 0x20 && octet < 0x7f);
  return String.fromCharCode(...octets);
}

const LEAP = ["Normal", "Insert second", "Delete second", "Not synchronised"] as const;

export function leapText(leap: number): string {
  return LEAP[leap] ?? LEAP[3];
}
