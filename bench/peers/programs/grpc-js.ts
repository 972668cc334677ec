/** VerifyToken the stock way of grpc-js. */
import { readArguments } from "./arguments.ts";
import { serveVerifyToken } from "./grpc-js-service.ts";

const { address, answer, rest } = readArguments(process.argv.slice(2));
const [loading = ""] = rest;
serveVerifyToken(address, loading, (decode) => {
  const response = decode(answer);
  return (_call, callback) => callback(null, response);
});
