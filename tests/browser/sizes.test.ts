// SPDX-License-Identifier: MIT OR Apache-2.0
/** What pages load, held to budgets: build/sizes.mjs, and the daemon's page. The files are those of the last build. */
import { readFileSync } from "node:fs";
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

interface Dashboard {
  dashboardSize(): Promise<number>;
}

test("the daemon's page is at most 40 KB gzipped, charts and all, and as large as docs/daemon.md says", async () => {
  const { dashboardSize } = (await import(/* @vite-ignore */ new URL("../../build/dashboard.mjs", import.meta.url).href)) as Dashboard;
  const size = await dashboardSize();
  expect(size).toBeGreaterThan(20 * 1024);
  expect(size).toBeLessThanOrEqual(40 * 1024);
  const stated = Number(/All of it is (\d+) KB gzipped/.exec(readFileSync("docs/daemon.md", "utf8"))?.[1]);
  expect(Math.abs(size / 1024 - stated)).toBeLessThan(1);
});
