import { envelopeOf, FrameReader } from "./envelope.ts";
import { Fields } from "./json.ts";

/** A call that the gateway refused or did not answer. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** The Connect code, such as `unauthenticated`; `unavailable` when there was no answer at all. */
  readonly code: string;
  /** The gateway's stable reason; empty when it gave none. */
  readonly reason: string;

  constructor(code: string, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** Gives the key that the operator entered, or none. */
export type KeySource = () => string | undefined;

/**
 * Calls the gateway that served this page, over the Connect protocol in JSON: what browsers have built in is enough for
 * that, and it spares the page a runtime many times its size.
 */
export class Connection {
  readonly #key: KeySource;

  constructor(key: KeySource) {
    this.#key = key;
  }

  /** @param rpc `package.Service/Method` @throws CallError */
  async call(rpc: string, request: object, signal: AbortSignal): Promise<Fields> {
    const response = await this.#post(rpc, "application/json", JSON.stringify(request), signal);
    const json = Fields.parse(await response.text());
    return json;
  }

  /** Messages as they come, until the gateway ends the stream. @throws CallError for how it ended, if not well */
  async *stream(rpc: string, request: object, signal: AbortSignal): AsyncGenerator<Fields> {
    const response = await this.#post(rpc, "application/connect+json", envelopeOf(request), signal);
    if (response.body === null) throw lost();
    const frames = new FrameReader();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || value === undefined) throw lost();
      for (const { isEnd, json } of frames.push(value)) {
        const fields = Fields.parse(json);
        if (!isEnd) yield fields;
        else if (fields.has("error")) throw errorOf(fields.object("error"), "unknown");
        else return;
      }
    }
  }

  async #post(rpc: string, type: string, body: BodyInit, signal: AbortSignal): Promise<Response> {
    const key = this.#key();
    const headers = new Headers({ "content-type": type, "connect-protocol-version": "1" });
    if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
    const init: RequestInit = { method: "POST", headers, body, signal, credentials: "omit", redirect: "error" };
    const response = await fetch(`/${rpc}`, init).catch(() => {
      throw lost();
    });
    if (!response.ok) throw await refusalOf(response);
    return response;
  }
}

async function refusalOf(response: Response): Promise<CallError> {
  const text = await response.text().catch(() => "");
  const code = response.status === 401 ? "unauthenticated" : response.status === 403 ? "permission_denied" : "unknown";
  try {
    return errorOf(Fields.parse(text), code);
  } catch {
    return new CallError(code, "", `the gateway answered HTTP ${response.status}`);
  }
}

function errorOf(json: Fields, otherwise: string): CallError {
  const reasons = json.list("details").map((detail) => detail.object("debug").text("reason"));
  const code = json.text("code") === "" ? otherwise : json.text("code");
  return new CallError(code, reasons.find((reason) => reason !== "") ?? "", json.text("message"));
}

function lost(): CallError {
  return new CallError("unavailable", "", "the gateway does not answer");
}
