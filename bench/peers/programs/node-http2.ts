/** The least that node:http2 takes to answer a gRPC call: no routing, no decoding, an answer encoded beforehand. */
import { createServer } from "node:http2";
import { readArguments } from "./arguments.ts";

const { listen, answer } = readArguments(process.argv.slice(2));
const framed = Buffer.concat([Buffer.alloc(5), answer]);
framed.writeUInt32BE(answer.length, 1);
const server = createServer();
server.on("stream", (stream) => {
  stream.on("error", () => stream.destroy());
  stream.once("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(framed);
  });
  stream.resume();
});
server.listen(listen);
