import { readFileSync } from "node:fs";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

export interface VerifyTokenRequest {
  readonly token: string;
}

/**
 * Serves VerifyToken the stock way of grpc-js, on messages that proto-loader reads and writes.
 * @param loading a file with the .proto file's name and the folders that it and its imports are in, as JSON
 */
export function serveVerifyToken(
  address: string,
  loading: string,
  makeHandler: (decode: (answer: Buffer) => object) => handleUnaryCall<VerifyTokenRequest, object>,
): void {
  const { file, includeDirs } = JSON.parse(readFileSync(loading, "utf8")) as { file: string; includeDirs: string[] };
  const definition = loadSync(file, { includeDirs, enums: String, longs: String });
  const service = definition["m2mgateway.v1.TokenService"] as ServiceDefinition;
  const method = service.VerifyToken;
  if (method === undefined) throw new Error("the .proto files have no VerifyToken");
  const server = new Server();
  server.addService(
    { VerifyToken: method },
    { VerifyToken: makeHandler((bytes) => method.responseDeserialize(bytes)) },
  );
  server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error;
  });
}
