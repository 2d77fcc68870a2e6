// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a page loads, held to budgets: build/sizes.mjs. The files are those of the last build. */
import { expect, test } from "vitest";

interface Sizes {
  pageSizes(): Record<string, { octets: number; gzip: number }>;
  readonly PAGE_BUDGETS: Record<string, number>;
}

test("what a page loads keeps to its budgets", async () => {
  const { pageSizes, PAGE_BUDGETS } = (await import(/* @vite-ignore */ new URL("../../build/sizes.mjs", import.meta.url).href)) as Sizes;
  const sizes = pageSizes();
  expect(Object.keys(sizes)).toEqual(expect.arrayContaining(Object.keys(PAGE_BUDGETS)));
  expect(Object.entries(PAGE_BUDGETS).filter(([name, most]) => !(sizes[name]!.gzip <= most)).map(([name, most]) => `${name}: ${sizes[name]!.gzip} > ${most}`)).toEqual([]);
});
