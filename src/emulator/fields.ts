import { ApiError, apiError, type ErrorItem, errorItem } from "./errors.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";

/** Gathers what is wrong with a request, so that one answer reports it all. */
export class Problems {
  readonly #items: ErrorItem[] = [];

  /** For the m2m_tokens operations, which answer 400 and name the place: `body.token`, `query_parameter.limit`. */
  bad(place: string, reason: string): undefined {
    this.#items.push(errorItem("bad_request", { longMessage: `Invalid '${place}': ${reason}` }));
  }

  /** For the machines operations, which answer 422 and name the parameter. */
  missing(param: string): undefined {
    this.#items.push(errorItem("form_param_missing", { longMessage: `${param} must be included.`, param }));
  }

  unknown(param: string): undefined {
    const longMessage = `${param} is not a valid parameter for this request.`;
    this.#items.push(errorItem("form_param_unknown", { longMessage, param }));
  }

  wrongType(param: string, expected: string): undefined {
    this.#items.push(errorItem("form_param_type_invalid", { longMessage: `${param} must be ${expected}.`, param }));
  }

  wrongValue(param: string, expected: string): undefined {
    this.#items.push(errorItem("form_param_value_invalid", { longMessage: `${param} must be ${expected}.`, param }));
  }

  /** @throws ApiError when there are any */
  throwIfAny(status: 400 | 422): void {
    if (this.#items.length > 0) throw new ApiError(status, this.#items);
  }
}

/** @throws ApiError request_body_invalid */
export function objectBody(body: Json | undefined): JsonObject {
  if (!isJsonObject(body)) throw apiError("request_body_invalid");
  return body;
}

export function unknownKeys(object: JsonObject, known: readonly string[]): string[] {
  return Object.keys(object).filter((key) => !known.includes(key));
}

/** A whole number in decimal digits within bounds, or `undefined`. */
export function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^-?\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}
