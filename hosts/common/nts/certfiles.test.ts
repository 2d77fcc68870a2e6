// SPDX-License-Identifier: MIT OR Apache-2.0
/** Certificates from files, and again when they have changed. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HostFiles } from "../files.ts";
import { readCertificate, watchCertificate, type CertificatePair } from "./certfiles.ts";

const PATHS = { certificate: "/c", key: "/k" };

/** Files in memory that say when they were changed. */
class FakeFiles implements HostFiles {
  readonly #files = new Map<string, { text: string; at: number }>();
  put(path: string, text: string): void {
    this.#files.set(path, { text, at: (this.#files.get(path)?.at ?? 0) + 1 });
  }
  remove(path: string): void {
    this.#files.delete(path);
  }
  async read(path: string) {
    const file = this.#files.get(path);
    return file && { data: new TextEncoder().encode(file.text), mode: 0o600 };
  }
  async replace() {}
  async modified(path: string) {
    return this.#files.get(path)?.at;
  }
}

describe("a certificate in files", () => {
  let files: FakeFiles;
  beforeEach(() => {
    vi.useFakeTimers();
    files = new FakeFiles();
    files.put("/c", "cert1");
    files.put("/k", "key1");
  });
  afterEach(() => vi.useRealTimers());

  /** A server that only takes pairs that fit. */
  const watched = () => {
    const taken: CertificatePair[] = [];
    const reports: unknown[] = [];
    const renew = (pair: CertificatePair) => {
      if (pair.certificate.at(-1) !== pair.key.at(-1)) throw new Error("they do not fit");
      taken.push(pair);
    };
    const stop = watchCertificate(files, PATHS, { renew, report: (error) => reports.push(error), everyMs: 1000 });
    return { taken, reports, stop };
  };

  it("is read", async () => {
    expect(await readCertificate(files, PATHS)).toEqual({ certificate: "cert1", key: "key1" });
    files.remove("/k");
    await expect(readCertificate(files, PATHS)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("/k") });
  });

  it("is not taken again while it stays the same", async () => {
    const { taken, reports } = watched();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([taken, reports]).toEqual([[], []]);
  });

  it("is taken when both files have changed, though they changed at different times", async () => {
    const { taken, reports, stop } = watched();
    await vi.advanceTimersByTimeAsync(1500);
    files.put("/c", "cert2");
    await vi.advanceTimersByTimeAsync(2000);
    expect(taken).toEqual([]);
    expect(reports).toEqual([expect.objectContaining({ message: "they do not fit" })]);
    files.put("/k", "key2");
    await vi.advanceTimersByTimeAsync(2000);
    expect(taken).toEqual([{ certificate: "cert2", key: "key2" }]);
    expect(reports.length).toBe(2);
    stop();
    files.put("/k", "key3");
    await vi.advanceTimersByTimeAsync(5000);
    expect(taken.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("that has gone is told of once, and taken when it is back", async () => {
    const { taken, reports } = watched();
    await vi.advanceTimersByTimeAsync(1500);
    files.remove("/c");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(reports.length).toBe(1);
    files.put("/c", "cert4");
    files.put("/k", "key4");
    await vi.advanceTimersByTimeAsync(2000);
    expect(taken).toEqual([{ certificate: "cert4", key: "key4" }]);
  });
});
