import { defaultResource, type Resource, resourceFromAttributes } from "@opentelemetry/resources";

interface ResourceOptions {
  readonly serviceName: string | undefined;
  /** As in OTEL_RESOURCE_ATTRIBUTES. */
  readonly attributes: string | undefined;
  readonly version: string;
  /** This process among its like. */
  readonly instance: string;
}

/** What traces say of this process. */
export function resourceOf({ serviceName, attributes, version, instance }: ResourceOptions): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      "service.name": "m2m-gateway",
      "service.version": version,
      "service.instance.id": instance,
      ...parsePairs(attributes ?? ""),
      ...(serviceName === undefined ? {} : { "service.name": serviceName }),
    }),
  );
}

/** `name=value,name=value` with percent-encoded values. One that is not well encoded is taken as it is. */
export function parsePairs(text: string): Record<string, string> {
  const pairs = text.split(",").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())] as const];
  });
  return Object.fromEntries(pairs);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
