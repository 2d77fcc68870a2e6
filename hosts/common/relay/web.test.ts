// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { answerHttp, LAST_LEAP, timeJson, type WebOptions } from "./web.ts";

const time = { nowNs: 1_700_000_000_250_000_001n, bound: 0.0123456 };
const options = (origins?: readonly string[]): WebOptions => ({ id: 'a "name"', origins, leap: LAST_LEAP, time: () => time });
const get = (url: string, { origin = undefined as string | undefined, method = "GET", origins = undefined as readonly string[] | undefined } = {}) => answerHttp({ method, url, origin }, options(origins));

describe("the time as JSON", () => {
  it("has NICT's members, all digits, and a bound", () => {
    const text = timeJson("1232963971.248", "x", time, LAST_LEAP);
    expect(text).toBe('{"id":"x","it":1232963971.248,"st":1700000000.250000001,"leap":36,"next":1483228800,"step":1,"bound":0.0123}');
  });

  it.each(["", "0", "7", "007.5", "999999999999.999999999"])("answers the question %j with JSON that can be read", (question) => {
    expect(JSON.parse(timeJson(question, "x", time, LAST_LEAP)!)).toMatchObject({ it: Number(question) });
  });

  it.each(["a", "-1", "1e9", "1.", ".5", "1;alert(1)", "1.1234567890", "1234567890123", "<b>", "NaN"])("does not take %j for a question, and brings nothing of it back", (question) => {
    expect(timeJson(question, "x", time, LAST_LEAP)).toBeUndefined();
  });

  it("is none where nobody vouches for the clock", () => {
    expect(JSON.parse(timeJson("1", "x", { ...time, bound: undefined }, LAST_LEAP)!)).not.toHaveProperty("st");
  });
});

describe("by HTTP", () => {
  it("is told at both paths, and may be read and timed by pages of any origin", () => {
    for (const path of ["/?5", "/cgi-bin/json?5"]) {
      const { status, headers, body } = get(path, { origin: "https://page.example" });
      expect({ status, it: (JSON.parse(body) as { it: number }).it }).toEqual({ status: 200, it: 5 });
      expect(headers).toMatchObject({ "access-control-allow-origin": "*", "timing-allow-origin": "*", "cache-control": "no-store", "content-type": "application/json" });
    }
  });

  it("is told to listed origins only, where there is a list", () => {
    const origins = ["https://page.example"];
    expect(get("/", { origin: "https://page.example", origins })).toMatchObject({ status: 200, headers: { "access-control-allow-origin": "https://page.example", vary: "origin" } });
    const refused = get("/", { origin: "https://other.example", origins });
    expect(refused.status).toBe(403);
    expect(refused.headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("has no other paths, methods and questions", () => {
    expect(get("/etc/passwd").status).toBe(404);
    expect(get("/", { method: "POST" }).status).toBe(405);
    expect(get("/?<script>").status).toBe(400);
    expect(get("/?<script>").body).not.toContain("script");
    expect(get("/", { method: "OPTIONS" }).status).toBe(204);
    expect(get("/", { method: "HEAD" }).body).toBe("");
  });
});
