// SPDX-License-Identifier: MIT OR Apache-2.0
/** Files on Node: read with a limit, replaced so that a crash at any step leaves a whole file. */
import { mkdtemp, open, readFile, readdir, rename, rm, stat, symlink, unlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { files, filesOver, type FileSystem } from "./files.ts";

const REAL: FileSystem = { open, rename, unlink, stat };
const OLD = "the old content";
const NEW = new TextEncoder().encode("the new content, which is longer");

let folder = "";
let file = "";
let count = 0;
beforeAll(async () => void (folder = await mkdtemp(path.join(os.tmpdir(), "escapement-files-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  const own = path.join(folder, String(++count));
  await rm(own, { recursive: true, force: true });
  await (await import("node:fs/promises")).mkdir(own);
  file = path.join(own, "file");
});

/** The process dies at this step: nothing after it happens, no cleaning up either. */
const died = () => Promise.reject(new Error("died"));
type Handle = Awaited<ReturnType<typeof open>>;

function dyingAt(step: "write" | "sync" | "rename"): FileSystem {
  const dead = new Set<string>();
  return {
    ...REAL,
    rename: step === "rename" ? died : (rename),
    unlink: died,
    open: (async (...args: Parameters<typeof open>) => {
      const handle: Handle = await open(...args);
      if (step !== "rename" && !dead.has("first")) {
        dead.add("first");
        if (step === "write") handle.writeFile = (async () => { await handle.write(NEW.subarray(0, 5)); return died(); }) as Handle["writeFile"];
        else handle.sync = died;
      }
      return handle;
    }) as typeof open,
  };
}

describe("replacing a file", () => {
  it("puts the new one in its place with its mode, whatever the umask, and leaves nothing beside it", async () => {
    await writeFile(file, OLD, { mode: 0o644 });
    await files.replace(file, NEW, 0o600);
    expect(new Uint8Array(await readFile(file))).toEqual(NEW);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(path.dirname(file))).toEqual(["file"]);
  });

  it("makes one where there is none", async () => {
    await files.replace(file, NEW, 0o600);
    expect(await files.read(file, 100)).toEqual({ data: NEW, mode: 0o600 });
  });

  it.each(["write", "sync", "rename"] as const)("leaves the old one whole when the process dies at %s", async (step) => {
    await writeFile(file, OLD);
    await expect(filesOver(dyingAt(step)).replace(file, NEW, 0o600)).rejects.toThrow("died");
    expect(await readFile(file, "utf8")).toBe(OLD);
    // What was left behind stands in nobody's way.
    await files.replace(file, NEW, 0o600);
    expect(new Uint8Array(await readFile(file))).toEqual(NEW);
  });

  it("never has the new one readable by others, not even while it is written", async () => {
    const modes: number[] = [];
    const watching = { ...REAL, rename: async (from: Parameters<typeof rename>[0], to: Parameters<typeof rename>[1]) => {
      modes.push((await stat(from)).mode & 0o777);
      return rename(from, to);
    } };
    const seen: (number | string | undefined)[] = [];
    const opening = (async (...args: Parameters<typeof open>) => {
      if (args[1] !== "r") seen.push(args[1], args[2] as number);
      return open(...args);
    }) as typeof open;
    await filesOver({ ...watching, open: opening }).replace(file, NEW, 0o600);
    expect(modes).toEqual([0o600]);
    // Made exclusively, with the mode from the first moment.
    expect(seen).toEqual(["wx", 0o600]);
  });

  it("cleans up when it fails, and says why", async () => {
    await writeFile(file, OLD);
    await expect(filesOver({ ...REAL, rename: died }).replace(file, NEW, 0o600)).rejects.toThrow("died");
    expect(await readdir(path.dirname(file))).toEqual(["file"]);
    await expect(files.replace(path.join(folder, "nowhere/file"), NEW, 0o600)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("reading a file", () => {
  it("gives undefined where there is none", async () => {
    expect(await files.read(file, 100)).toBeUndefined();
    expect(await files.modified(file)).toBeUndefined();
  });

  it("stops at the limit", async () => {
    await writeFile(file, new Uint8Array(100));
    expect((await files.read(file, 100))?.data.length).toBe(100);
    await expect(files.read(file, 99)).rejects.toThrow("at most 99 octets");
  });

  it("stops at the limit where there is no size to look at", async () => {
    await expect(files.read("/dev/zero", 1000)).rejects.toThrow("at most 1000 octets");
  });

  it("tells the mode of what a link points to", async () => {
    await writeFile(`${file}.target`, OLD, { mode: 0o640 });
    await symlink(`${file}.target`, file);
    expect((await files.read(file, 100))?.mode).toBe(0o640);
  });

  it("rejects what is no file", async () => {
    await expect(files.read(folder, 1e6)).rejects.toThrow("EISDIR");
  });
});
