// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Numbers and tables for people. Tested in usage.test.ts.
 *
 * @module
 */

import process from "node:process";
import { seconds } from "../daemon/numbers.ts";

export { seconds };

/** The same for a column that is aligned to the right, where units shall stand below each other. */
export function secondsCell(value: number, options: { sign?: boolean } = {}): string {
  return seconds(value, options).replace(/ s$/, " s ");
}

/** Nanoseconds since 1970 as an ISO time with as many digits as `uncertainty` (s) leaves meaningful. */
export function isoTime(unixNs: bigint, uncertainty: number): string {
  const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(Math.max(uncertainty, 1e-9))) + 1));
  const floorMs = unixNs / 1_000_000n - (unixNs % 1_000_000n < 0n ? 1n : 0n);
  const date = new Date(Number(floorMs));
  const nanos = String(((unixNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n).padStart(9, "0");
  return `${date.toISOString().slice(0, 19)}${digits > 0 ? `.${nanos.slice(0, digits)}` : ""}Z`;
}

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

/** Coloured on a terminal that wants it (https://no-color.org), plain elsewhere. */
export function paint(text: string, colour: keyof typeof COLOURS): string {
  const wanted = process.stdout.isTTY && !process.env["NO_COLOR"];
  return wanted ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;
}

const ESCAPES = /\u001b\[\d+m/g;

function width(text: string): number {
  return [...text.replace(ESCAPES, "")].length;
}

/** Rows as columns, each as wide as its widest cell; `right` names the columns that hold numbers. */
export function table(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ""))));
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const padding = " ".repeat((widths[column] ?? 0) - width(cell));
          return right.has(column) ? padding + cell : cell + padding;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
