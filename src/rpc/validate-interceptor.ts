import { create, type DescMessage, type DescService, type Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { GatewayError } from "../token/errors.ts";

/** Compiles the rules of a message type when it first meets it, and keeps them: the first of all takes 50 ms. So there is one. */
const VALIDATOR = createValidator();

/**
 * Compiles the rules of all requests of some services: at the start, and not while a first caller waits, and everybody else with it.
 * @throws Error when a rule cannot be compiled
 */
export function compileRules(services: readonly DescService[]): void {
  for (const { input } of services.flatMap(({ methods }) => methods)) {
    const result = VALIDATOR.validate(input, create(input));
    if (result.kind === "error") throw result.error;
  }
}

/** Enforces the rules of the .proto files on every request message before its handler sees it. */
export function createValidateInterceptor(): Interceptor {
  return (next) => async (request) => {
    if (!request.stream) {
      validate(request.method.input, request.message);
      return await next(request);
    }
    return await next({ ...request, message: validated(request.method.input, request.message) });
  };
}

async function* validated<T extends Message>(desc: DescMessage, messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) {
    validate(desc, message);
    yield message;
  }
}

/** @throws GatewayError ARGUMENT_INVALID with a violation for each rule broken; INTERNAL when a rule itself is broken */
export function validate(desc: DescMessage, message: Message): void {
  const result = VALIDATOR.validate(desc, message);
  if (result.kind === "valid") return;
  if (result.kind === "error") {
    throw new GatewayError("INTERNAL", "internal error", {}, result.error);
  }
  const violations = result.violations.map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message,
  }));
  const [first] = violations;
  const message_ = first === undefined ? "the request is not valid" : `${first.field}: ${first.description}`;
  throw new GatewayError("ARGUMENT_INVALID", message_, { violations });
}
