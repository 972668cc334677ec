import { Code, type ConnectError } from "@connectrpc/connect";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { canceled } from "../token/errors.ts";
import type { Verification } from "../token/verification.ts";
import { abortable } from "./abortable.ts";
import { connectErrorFrom, transportError } from "./connect-error.ts";
import type { DirectCall, DirectRpc } from "./direct-rpc.ts";
import { refuse } from "./refusal.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { checkedRequest, NO_DEMANDS } from "./verify-decisions.ts";
import { type Asked, formOf, type VerifyForm } from "./verify-form.ts";
import { demandsFrom, wireVerification } from "./verify-token.ts";

type Dependencies = Pick<RpcDependencies, "verifier" | "isDegraded" | "revocations" | "maxMessageBytes">;

/** VerifyToken over gRPC and Connect. Answers what the handler in verify-token.ts would. */
export class DirectVerify implements DirectRpc {
  readonly path = `/${TokenService.typeName}/${TokenService.method.verifyToken.name}`;
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  answer(call: DirectCall): Promise<ConnectError | undefined> | undefined {
    const form = formOf(call.exchange);
    const asked = form?.read(call.body);
    return form === undefined || asked === undefined ? undefined : this.#serve(call, form, asked);
  }

  async #serve(call: DirectCall, form: VerifyForm, asked: Asked): Promise<ConnectError | undefined> {
    const { exchange, context, left, timeLeftMs, place } = call;
    const timer = timeLeftMs === undefined ? undefined : setTimeout(() => left.abort(deadlinePassed()), timeLeftMs);
    try {
      if (timeLeftMs === 0) throw deadlinePassed();
      const { verifier } = context.services ?? this.#dependencies;
      const decision = this.#decide(verifier, call, asked);
      // What had to be waited for is answered as the facts have it now.
      const isLate = decision instanceof Promise;
      const verification = isLate ? verifier.recheck(await abortable(decision, left.signal)) : decision;
      context.outcome = { verdict: verification.verdict, source: verification.source };
      const encoded = this.#encode(form, verification);
      place?.hold(encoded.length);
      return (await form.answer(exchange, encoded)) ? undefined : connectErrorFrom(canceled());
    } catch (thrown) {
      context.thrown = thrown;
      const error = connectErrorFrom(thrown, left.signal);
      if (!exchange.isClosed) refuse(exchange, form.protocol, error);
      return error;
    } finally {
      clearTimeout(timer);
    }
  }

  #decide(
    verifier: Dependencies["verifier"],
    { context, left }: DirectCall,
    asked: Asked,
  ): Verification | Promise<Verification> {
    const { signal } = left;
    const subjects = context.caller?.subjects;
    if ("token" in asked) return verifier.verify({ presented: asked.token, ...NO_DEMANDS, subjects, signal });
    const request = checkedRequest(asked.request);
    return verifier.verify({ presented: request.token, ...demandsFrom(request), subjects, signal });
  }

  #encode(form: VerifyForm, verification: Verification): Uint8Array {
    const encoded = form.encode(wireVerification(verification, this.#dependencies));
    if (encoded.length <= this.#dependencies.maxMessageBytes) return encoded;
    throw transportError(Code.ResourceExhausted, "MESSAGE_TOO_LARGE", "a message is larger than the gateway allows");
  }
}

function deadlinePassed(): ConnectError {
  return transportError(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the call's deadline passed");
}
