import { describe, expect, it } from "vitest";
import { parseRedisUrl } from "./redis-url.ts";

describe("a Redis URL", () => {
  it.each([
    ["redis://localhost", { mode: "single", nodes: [{ host: "localhost", port: 6379 }] }],
    ["redis://:pa%40ss@10.0.0.1:7000/3", single("10.0.0.1", 7000, { password: "pa@ss", database: 3 })],
    ["rediss://user:p:w@[::1]:7001/", single("::1", 7001, { username: "user", password: "p:w", tls: {} })],
    ["unix:///run/redis%20x.sock", { mode: "single", nodes: { unixSocket: "/run/redis x.sock" } }],
    [
      "unix://u:p@/run/redis.sock?db=2",
      { mode: "single", nodes: { unixSocket: "/run/redis.sock" }, username: "u", password: "p", database: 2 },
    ],
    [
      "redis-sentinel://u:p@s1,s2:26380/my-primary/4",
      {
        mode: "sentinel",
        nodes: [
          { host: "s1", port: 26_379 },
          { host: "s2", port: 26_380 },
        ],
        sentinelMaster: "my-primary",
        username: "u",
        password: "p",
        database: 4,
      },
    ],
    [
      "rediss-cluster://n1:1,n2:2/0",
      {
        mode: "cluster",
        nodes: [
          { host: "n1", port: 1 },
          { host: "n2", port: 2 },
        ],
        database: 0,
        tls: {},
      },
    ],
  ])("is understood: %s", (text, expected) => {
    expect(parseRedisUrl(text)).toEqual(expected);
  });

  it.each([
    ["", "is not of the form"],
    ["localhost:6379", "is not of the form"],
    ["http://:s3cret@localhost", "must begin with"],
    ["redis://:s3cret@", "has no host"],
    ["redis://:s3cret@a b", "has no host"],
    ["redis://s3cret@host", "a user without a password"],
    ["redis://:s3cret%ZZ@host", "percent-encoding"],
    ["redis://:s3cret@host:70000", "a port"],
    ["redis://:s3cret@host/first", "a database"],
    ["redis://:s3cret@host/0/1", "too many parts"],
    ["redis://:s3cret@host?timeout=s3cret", "options after"],
    ["redis://:s3cret@a,b", "several hosts"],
    ["redis-sentinel://:s3cret@a,b", "names no primary"],
    ["redis-cluster://:s3cret@a/1", "database 0 only"],
    ["unix://:s3cret@host/path", "names no socket"],
    ["unix://:s3cret@/path?database=1", "an option"],
  ])("that is wrong is refused without a word of the password: %s", (text, problem) => {
    expect(() => parseRedisUrl(text)).toThrow(problem);
    expect(() => parseRedisUrl(text)).not.toThrow(/s3cret/);
  });
});

function single(host: string, port: number, rest: object) {
  return { mode: "single", nodes: [{ host, port }], ...rest };
}
