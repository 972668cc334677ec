export type Protocol = "grpc" | "grpc-web" | "connect";

/** By the content type alone, as the RPC framework decides it. What is neither gRPC nor gRPC-Web is Connect. */
export function protocolOf(contentType: string | undefined): Protocol {
  const type = contentType?.toLowerCase() ?? "";
  if (type.startsWith("application/grpc-web")) return "grpc-web";
  return type.startsWith("application/grpc") ? "grpc" : "connect";
}
