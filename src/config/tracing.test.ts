import { describe, expect, it } from "vitest";
import { fromFile, problemsOf } from "../../test/support/config-cases.ts";
import { loadConfig } from "../config.ts";

const KEY = { CLERK_SECRET_KEY: "sk_test_0a1B2c3D4e5F6g7H8i9J" };

describe("settings of traces", () => {
  it("are OpenTelemetry's own variables, and trace nothing unless an endpoint is given", () => {
    const initial = loadConfig({ env: {} }).config.tracing;
    expect(initial.endpoint).toBeUndefined();
    expect(initial).toMatchObject({
      sampler: "parentbased_always_on",
      samplerArg: 1,
    });
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318/",
      OTEL_SERVICE_NAME: "auth",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_RESOURCE_ATTRIBUTES: "team=identity,deployment.environment.name=prod",
      OTEL_EXPORTER_OTLP_HEADERS: "x-key=abc%20def",
    };
    const { tracing } = loadConfig({ env }).config;
    expect(tracing).toMatchObject({
      endpoint: "http://127.0.0.1:4318",
      serviceName: "auth",
      sampler: "parentbased_traceidratio",
      samplerArg: 0.25,
      resourceAttributes: "team=identity,deployment.environment.name=prod",
    });
    expect(tracing.headers?.reveal()).toBe("x-key=abc%20def");
    expect(JSON.stringify(tracing)).not.toContain("abc");
  });

  it.each([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector:4318", "is not an http or https URL"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is not one of http/protobuf"],
    ["OTEL_TRACES_SAMPLER", "jaeger_remote", "OTEL_TRACES_SAMPLER is not one of always_on"],
    ["OTEL_TRACES_SAMPLER_ARG", "1.5", "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"],
    ["OTEL_TRACES_SAMPLER_ARG", "1e-3", "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"],
    ["OTEL_RESOURCE_ATTRIBUTES", "team", "OTEL_RESOURCE_ATTRIBUTES is not name=value"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "secret-without-name", "OTEL_EXPORTER_OTLP_HEADERS is not name=value"],
    ["GATEWAY_ACCESS_LOG", "all", "GATEWAY_ACCESS_LOG is not off, errors, or a number from 0 to 1"],
    ["GATEWAY_ACCESS_LOG", "-0.1", "GATEWAY_ACCESS_LOG is not off, errors, or a number from 0 to 1"],
  ])("refuse %s=%s", (name, value, line) => {
    const { lines, text } = problemsOf({ env: { ...KEY, [name]: value } });
    expect(lines).toEqual([expect.stringContaining(line)]);
    expect(text).not.toContain("secret");
  });

  it("do not let a collector's key cross the network in the clear", () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318", OTEL_EXPORTER_OTLP_HEADERS: "k=v" };
    expect(problemsOf({ env }).lines).toEqual([
      expect.stringContaining("OTEL_EXPORTER_OTLP_HEADERS would go unencrypted to another machine"),
    ]);
    expect(problemsOf({ env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector:4318" } }).lines).toEqual([]);
    expect(problemsOf({ env: { ...env, GATEWAY_INSECURE: "true" } }).lines).toEqual([]);
    expect(problemsOf({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" } }).lines).toEqual([]);
  });
});

describe("the access log's setting", () => {
  it.each([
    ["off", "off"],
    ["errors", "errors"],
    ["1", 1],
    ["0.01", 0.01],
    ["0", 0],
  ])("takes %s", (given, value) => {
    expect(loadConfig({ env: { GATEWAY_ACCESS_LOG: given } }).config.log.access).toBe(value);
  });

  it("takes a number of a file, and an off without quotes", () => {
    expect(loadConfig(fromFile("log:\n  access: 0.5\n")).config.log.access).toBe(0.5);
    expect(loadConfig(fromFile("log:\n  access: off\n")).config.log.access).toBe("off");
  });
});
