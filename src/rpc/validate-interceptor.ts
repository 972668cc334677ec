import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { GatewayError } from "../token/errors.ts";

/** Enforces the rules of the .proto files on every request message before its handler sees it. */
export function createValidateInterceptor(): Interceptor {
  // Rules are compiled once per message type and kept by the validator.
  const validator = createValidator();
  return (next) => async (request) => {
    if (!request.stream) {
      validate(validator, request.method.input, request.message);
      return await next(request);
    }
    return await next({ ...request, message: validated(validator, request.method.input, request.message) });
  };
}

async function* validated<T extends Message>(
  validator: Validator,
  desc: DescMessage,
  messages: AsyncIterable<T>,
): AsyncGenerator<T> {
  for await (const message of messages) {
    validate(validator, desc, message);
    yield message;
  }
}

/** @throws GatewayError ARGUMENT_INVALID with a violation for each rule broken; INTERNAL when a rule itself is broken */
export function validate(validator: Validator, desc: DescMessage, message: Message): void {
  const result = validator.validate(desc, message);
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
