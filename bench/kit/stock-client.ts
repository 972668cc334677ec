import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync, type MethodDefinition, type ServiceDefinition } from "@grpc/proto-loader";
import { ROOT } from "../../test/support/process-fixture.ts";
import type { Address } from "./address.ts";

const CALL_TIMEOUT_MS = 5_000;
const VALIDATE = "node_modules/.cache/protovalidate";

/** The .proto file, and the folders that it and its imports are in, from the root of the repository. */
export interface Loading {
  readonly file: string;
  readonly includeDirs: readonly string[];
}

const LOADING: Loading = {
  file: "m2mgateway/v1/token_service.proto",
  includeDirs: ["proto", VALIDATE, "node_modules/@grpc/grpc-js-xds/deps/googleapis"],
};

/** A stock gRPC client that knows VerifyToken by its .proto file alone: who gets past it speaks gRPC. */
export class StockClient {
  readonly #method: MethodDefinition<object, object>;

  private constructor(method: MethodDefinition<object, object>) {
    this.#method = method;
  }

  static load(): StockClient {
    exportValidate();
    const includeDirs = LOADING.includeDirs.map((folder) => join(ROOT, folder));
    const definition = loadSync(LOADING.file, { includeDirs, enums: String, longs: String });
    const service = definition["m2mgateway.v1.TokenService"] as ServiceDefinition;
    const method = service.VerifyToken;
    if (method === undefined) throw new Error("the .proto files have no VerifyToken");
    return new StockClient(method);
  }

  readonly loading = LOADING;

  get path(): string {
    return this.#method.path;
  }

  requestBytes(request: object): Buffer {
    return this.#method.requestSerialize(request);
  }

  decode(answer: Buffer): Record<string, unknown> {
    return this.#method.responseDeserialize(answer) as Record<string, unknown>;
  }

  /** The bytes of the answer to a request. @throws grpc.ServiceError */
  async call(address: Address, request: Buffer, caFile?: string): Promise<Buffer> {
    const credentials =
      address.carrier === "tls"
        ? grpc.credentials.createSsl(caFile === undefined ? null : readFileSync(caFile))
        : grpc.credentials.createInsecure();
    // The certificate's name; an address cannot be asked for in TLS.
    const client = new grpc.Client(address.text, credentials, { "grpc.ssl_target_name_override": "localhost" });
    const deadline = Date.now() + CALL_TIMEOUT_MS;
    try {
      return await new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          this.#method.path,
          (bytes: Buffer) => bytes,
          (bytes) => bytes,
          request,
          new grpc.Metadata({ waitForReady: true }),
          { deadline },
          (error, answer) => (answer === undefined ? reject(error ?? new Error("no answer")) : resolve(answer)),
        );
      });
    } finally {
      client.close();
    }
  }
}

/** protovalidate's .proto file, which its npm package lacks. */
export function exportValidate(): void {
  if (existsSync(join(ROOT, VALIDATE))) return;
  execFileSync(process.execPath, ["scripts/export-protovalidate.mjs"], { cwd: ROOT });
}
