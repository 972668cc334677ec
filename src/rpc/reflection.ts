import type { DescFile, DescService } from "@bufbuild/protobuf";
import { Code, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { ServerReflection as ReflectionV1 } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { abortable } from "./abortable.ts";
import { drainOf } from "./call-context.ts";
import { ReflectionIndex } from "./reflection-index.ts";

/** What the requests of both versions ask; the versions differ in nothing but their package. */
type Question =
  | {
      readonly case: "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType" | "listServices";
      readonly value: string;
    }
  | {
      readonly case: "fileContainingExtension";
      readonly value: { readonly containingType: string; readonly extensionNumber: number };
    }
  | { readonly case: undefined };

/** Descriptors are as large as they are, whatever limit is set for the gateway's own messages. As much as clients take. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Serves grpc.reflection.v1 and v1alpha for the given services and for themselves. */
export function addReflection(router: ConnectRouter, services: readonly DescService[]): void {
  const index = new ReflectionIndex([...services, ReflectionV1, ReflectionV1Alpha]);
  const limits = { writeMaxBytes: MAX_ANSWER_BYTES };
  router.service(ReflectionV1, { serverReflectionInfo: (...call) => answers(index, ...call) }, limits);
  router.service(ReflectionV1Alpha, { serverReflectionInfo: (...call) => answers(index, ...call) }, limits);
}

/** Ends when the caller has no more requests, or the gateway drains. */
async function* answers<R extends { readonly host: string; readonly messageRequest: Question }>(
  index: ReflectionIndex,
  requests: AsyncIterable<R>,
  context: HandlerContext,
) {
  const drain = drainOf(context.values);
  const iterator = requests[Symbol.asyncIterator]();
  const sent = new Set<string>();
  for (;;) {
    const result = await abortable(iterator.next(), drain);
    if (result.done === true) return;
    const request = result.value;
    yield {
      validHost: request.host,
      originalRequest: request,
      messageResponse: respond(index, request.messageRequest, sent),
    };
  }
}

function respond(index: ReflectionIndex, question: Question, sent: Set<string>) {
  const file = (found: DescFile | undefined) => (found === undefined ? notFound() : files(index, found, sent));
  switch (question.case) {
    case "listServices":
      return {
        case: "listServicesResponse" as const,
        value: { service: index.services.map((name) => ({ name })) },
      };
    case "fileByFilename":
      return file(index.fileNamed(question.value));
    case "fileContainingSymbol":
      return file(index.fileDeclaring(question.value));
    case "fileContainingExtension":
      return file(index.fileExtending(question.value.containingType, question.value.extensionNumber));
    case "allExtensionNumbersOfType": {
      const extensionNumber = index.extensionNumbersOf(question.value);
      if (extensionNumber === undefined) return notFound();
      return {
        case: "allExtensionNumbersResponse" as const,
        value: { baseTypeName: question.value, extensionNumber },
      };
    }
    case undefined:
      return failure(Code.InvalidArgument, "the request asks for nothing");
  }
}

function files(index: ReflectionIndex, file: DescFile, sent: Set<string>) {
  return {
    case: "fileDescriptorResponse" as const,
    value: { fileDescriptorProto: index.descriptorsOf(file, sent) },
  };
}

function notFound() {
  return failure(Code.NotFound, "not found");
}

function failure(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse" as const, value: { errorCode, errorMessage } };
}
