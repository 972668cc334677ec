import { describe, expect, it } from "vitest";
import { assertAnswers, parseH2load, parseRequestLog, type Target } from "../../bench/load/h2load.ts";

const OUTPUT = `starting benchmark...
spawning thread #0: 8 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration for measurements.
Stopped all clients for thread #0

finished in 1.01s, 10352.50 req/s, 2.84MB/s
requests: 10352 total, 10480 started, 10352 done, 10352 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10416 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 2.84MB (2979032) total, 30.97KB (31712) headers (space savings 95.71%), 2.53MB (2656080) data
                     min         max         mean         sd        +/- sd
time for request:     1.75ms     91.78ms     12.11ms      8.57ms    91.04%
`;

const TARGET: Target = {
  address: { carrier: "tcp", text: "127.0.0.1:1" },
  path: "/",
  bodyFile: undefined,
  contentType: "application/grpc",
  answerBytes: 255,
  slackBytes: 0,
};

describe("the output of h2load", () => {
  it("is read as what was asked, answered and received", () => {
    expect(parseH2load(OUTPUT)).toEqual({
      done: 10_352,
      started: 10_480,
      failed: 0,
      dataBytes: 2_656_080,
      requestsPerSecond: 10_352.5,
    });
  });

  it("adds up what failed and what broke off", () => {
    const broken = OUTPUT.replace("0 failed, 0 errored", "2 failed, 3 errored");
    expect(parseH2load(broken).failed).toBe(5);
  });

  it("is refused when it is no result", () => {
    expect(() => parseH2load("connect: Connection refused")).toThrow("no result");
  });

  it("gives each request's duration from the log", () => {
    expect(parseRequestLog("1795459950592374\t200\t1305\n1795459950605541\t200\t92\n")).toEqual([1305, 92]);
  });
});

describe("the answers that h2load counted", () => {
  const result = parseH2load(OUTPUT);

  it("pass when their bytes are those of full answers, some under way at the end included", () => {
    expect(() => assertAnswers(result, TARGET)).not.toThrow();
  });

  it("fail when fewer bytes came than full answers have: gRPC's errors have the HTTP status of success", () => {
    expect(() => assertAnswers({ ...result, dataBytes: 10_351 * 255 }, TARGET)).toThrow("not all were full answers");
  });

  it("fail when more bytes came than were asked for", () => {
    expect(() => assertAnswers({ ...result, dataBytes: 10_481 * 255 }, TARGET)).toThrow("not all were full answers");
  });

  it("fail when any request failed", () => {
    expect(() => assertAnswers({ ...result, failed: 1 }, TARGET)).toThrow("1 of 10480 requests failed");
  });

  it("fail when there are none", () => {
    expect(() => assertAnswers({ ...result, done: 0 }, TARGET)).toThrow("no request was answered");
  });
});
