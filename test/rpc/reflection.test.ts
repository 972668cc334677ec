import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { addReflection } from "../../src/rpc/reflection.ts";
import { eventually, failureOf, startFakeGateway } from "./fake-gateway.ts";

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

const start = () =>
  startFakeGateway({ routes: (router) => addReflection(router, [TokenService, RevocationService, GatewayService]) });

type Question = ServerReflectionRequest["messageRequest"];

async function ask(...questions: Question[]): Promise<ServerReflectionResponse["messageResponse"][]> {
  await using gateway = await start();
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: gateway.server.url }));
  async function* requests() {
    for (const messageRequest of questions) yield create(ServerReflectionRequestSchema, { host: "h", messageRequest });
  }
  const answers: ServerReflectionResponse["messageResponse"][] = [];
  for await (const answer of client.serverReflectionInfo(requests())) {
    expect(answer).toMatchObject({ validHost: "h", originalRequest: { host: "h" } });
    answers.push(answer.messageResponse);
  }
  return answers;
}

function fileNamesOf(answer: ServerReflectionResponse["messageResponse"] | undefined): string[] {
  if (answer?.case !== "fileDescriptorResponse") throw new Error(`not files but ${answer?.case}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

const TOKEN_FILE = "m2mgateway/v1/token_service.proto";

describe.each(["grpc-v1", "grpc-v1alpha"])("buf curl with reflection %s", (version) => {
  const curl = async (url: string, ...more: string[]) => {
    const flags = ["--protocol", "grpc", "--http2-prior-knowledge", "--reflect", "--reflect-protocol", version];
    return (await promisify(execFile)(BUF, ["curl", ...flags, ...more, url])).stdout;
  };

  it("lists the services and calls a method, knowing nothing of the .proto files", async () => {
    await using gateway = await start();
    const { url } = gateway.server;
    expect((await curl(url, "--list-services")).trim().split("\n").sort()).toEqual([
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "m2mgateway.v1.GatewayService",
      "m2mgateway.v1.RevocationService",
      "m2mgateway.v1.TokenService",
    ]);
    const answer = await curl(`${url}/m2mgateway.v1.TokenService/VerifyToken`, "-d", `{"token":"mt_1"}`);
    expect(JSON.parse(answer)).toMatchObject({ verdict: "VERDICT_VALID" });
  });
});

describe("reflection", () => {
  it("answers a file's name with the file first and then all it needs", async () => {
    const [answer] = await ask({ case: "fileByFilename", value: TOKEN_FILE });
    const names = fileNamesOf(answer);
    expect(names[0]).toBe(TOKEN_FILE);
    expect(names).toEqual(
      expect.arrayContaining([
        "buf/validate/validate.proto",
        "google/protobuf/struct.proto",
        "google/rpc/status.proto",
      ]),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([
    ["a service", "m2mgateway.v1.TokenService", TOKEN_FILE],
    ["a method", "m2mgateway.v1.TokenService.VerifyToken", TOKEN_FILE],
    ["a message", "m2mgateway.v1.M2MToken", TOKEN_FILE],
    ["a field", "m2mgateway.v1.M2MToken.expire_time", TOKEN_FILE],
    ["a oneof", "m2mgateway.v1.RevokeTokenRequest.target", TOKEN_FILE],
    ["an enum", "m2mgateway.v1.Verdict", TOKEN_FILE],
    ["an enum's value, named beside its enum", "m2mgateway.v1.VERDICT_VALID", TOKEN_FILE],
    ["a nested message", "google.protobuf.Struct.FieldsEntry", "google/protobuf/struct.proto"],
    ["an extension", "buf.validate.field", "buf/validate/validate.proto"],
  ])("finds the file of %s", async (_what, symbol, file) => {
    const [answer] = await ask({ case: "fileContainingSymbol", value: symbol });
    expect(fileNamesOf(answer)[0]).toBe(file);
  });

  it("finds extensions by the message they extend", async () => {
    const numbers = (await ask({ case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" }))[0];
    expect(numbers).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: "google.protobuf.FieldOptions", extensionNumber: expect.arrayContaining([1159]) },
    });
    const extension = { containingType: "google.protobuf.FieldOptions", extensionNumber: 1159 };
    const [file] = await ask({
      case: "fileContainingExtension",
      value: { $typeName: "grpc.reflection.v1.ExtensionRequest", ...extension },
    });
    expect(fileNamesOf(file)[0]).toBe("buf/validate/validate.proto");
  });

  it("sends what a file needs only once in a stream", async () => {
    const [first, second] = await ask(
      { case: "fileByFilename", value: TOKEN_FILE },
      { case: "fileByFilename", value: "m2mgateway/v1/gateway_service.proto" },
    );
    expect(fileNamesOf(first).length).toBeGreaterThan(5);
    expect(fileNamesOf(second)).toEqual(["m2mgateway/v1/gateway_service.proto"]);
  });

  it.each<Question>([
    { case: "fileByFilename", value: "nope.proto" },
    { case: "fileContainingSymbol", value: "nope.Nope" },
    { case: "fileContainingSymbol", value: "__proto__" },
    { case: "allExtensionNumbersOfType", value: "nope.Nope" },
  ])("answers $case $value with an error and goes on", async (question) => {
    const [error, list] = await ask(question, { case: "listServices", value: "" });
    expect(error).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
    expect(list).toMatchObject({ case: "listServicesResponse" });
  });

  it("answers a question that asks nothing with an error", async () => {
    const [error] = await ask({ case: undefined });
    expect(error).toMatchObject({ case: "errorResponse", value: { errorCode: Code.InvalidArgument } });
  });

  it("ends an open stream when the gateway drains", async () => {
    await using gateway = await start();
    const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: gateway.server.url }));
    let answers = 0;
    const ended = failureOf(
      (async () => {
        for await (const _ of client.serverReflectionInfo(neverEnding())) answers += 1;
      })(),
    );
    await eventually(() => answers === 1);
    await gateway.server.drain(60_000);
    expect(await ended).toMatchObject({ code: Code.Unavailable, reason: "DRAINING" });
  });
});

async function* neverEnding() {
  yield create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
  await new Promise(() => {});
}
