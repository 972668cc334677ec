/** VerifyToken the stock way of connect-node: a router, its adapter, node:http2. */
import { createServer } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { readArguments } from "./arguments.ts";

const { listen, answer, rest } = readArguments(process.argv.slice(2));
const [generated = ""] = rest;
const { TokenService, VerifyTokenResponseSchema } = (await import(
  generated
)) as typeof import("../../../src/gen/m2mgateway/v1/token_service_pb.ts");
const response = fromBinary(VerifyTokenResponseSchema, answer);
const adapter = connectNodeAdapter({
  routes: (router) => router.service(TokenService, { verifyToken: () => response }),
});
createServer(adapter).listen(listen);
