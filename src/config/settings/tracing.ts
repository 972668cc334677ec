import { z } from "zod";
import { choice, onOff, optionalHttpUrl, optionalMatching, ratio, secretText } from "../setting.ts";

/** A key, an equals sign and a percent-encoded value, separated by commas (W3C Baggage, as OpenTelemetry uses it). */
const PAIRS = /^\s*[^\s=,;]+\s*=[^,;]*(?:,\s*[^\s=,;]+\s*=[^,;]*)*$/;

/** Traces. Off without an endpoint. */
export const tracingSettings = z.strictObject({
  endpoint: optionalHttpUrl(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "Where traces are sent, over OTLP: the base URL of a collector, to which `/v1/traces` is added. Without it nothing is traced.",
  ),
  disabled: onOff("OTEL_SDK_DISABLED", "Traces nothing, whatever else is set."),
  protocol: choice(
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    ["http/protobuf"],
    "http/protobuf",
    "How traces are sent. gRPC is not spoken: give the collector's HTTP port, usually 4318.",
  ),
  headers: secretText(
    "OTEL_EXPORTER_OTLP_HEADERS",
    { pattern: PAIRS, accepts: "name=value,name=value with percent-encoded values" },
    "Headers that go with traces, such as a collector's key.",
  ),
  serviceName: optionalMatching(
    "OTEL_SERVICE_NAME",
    { pattern: /^\P{Cc}{1,255}$/u, accepts: "1 to 255 characters" },
    "The name of this service in traces: `m2m-gateway`, unless it or `service.name` among the resource's attributes is given.",
  ),
  resourceAttributes: optionalMatching(
    "OTEL_RESOURCE_ATTRIBUTES",
    { pattern: PAIRS, accepts: "name=value,name=value with percent-encoded values" },
    "What else traces say of this process.",
  ),
  sampler: choice(
    "OTEL_TRACES_SAMPLER",
    [
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ],
    "parentbased_always_on",
    "Which calls are traced. The parent-based ones trace what the caller traces, and of calls whose callers do not say, all, none, or a share.",
  ),
  samplerArg: ratio("OTEL_TRACES_SAMPLER_ARG", "1", "The share that the samplers by ratio trace."),
});
