import type { Emulator } from "../../src/emulator/emulator.ts";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Empty when the text is not a JSON object. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Codes of the errors in the body. */
  readonly codes: readonly string[];
}

export interface RawRequest {
  readonly key?: string | undefined;
  readonly headers?: Record<string, string>;
  /** Sent as JSON unless it is text. */
  readonly body?: unknown;
}

/** Sends one request as it is told to, with no SDK between. */
export async function raw(emulator: Emulator, line: string, request: RawRequest = {}): Promise<RawAnswer> {
  const [method = "GET", path = "/"] = line.split(" ");
  const headers = new Headers(request.headers);
  if (request.key !== undefined && !headers.has("authorization")) headers.set("authorization", `Bearer ${request.key}`);
  const { body } = request;
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  const payload = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const init = payload === undefined ? { method, headers } : { method, headers, body: payload };
  const response = await fetch(emulator.url + path, init);
  const text = await response.text();
  const json = objectFrom(text);
  const errors: unknown = json.errors;
  const codes = Array.isArray(errors) ? errors.map(({ code }: { code: string }) => code) : [];
  return { status: response.status, headers: response.headers, text, json, codes };
}

function objectFrom(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

export interface MintedToken {
  readonly id: string;
  readonly secret: string;
}

/** Mints with that machine's key. */
export async function mint(emulator: Emulator, machine: string, body: unknown = {}): Promise<MintedToken> {
  const { json } = await raw(emulator, "POST /m2m_tokens", { key: emulator.machine(machine).secretKey, body });
  return { id: String(json.id), secret: String(json.token) };
}

/** Status of a verification with that machine's key. */
export async function verifyStatus(emulator: Emulator, machine: string, token: string): Promise<number> {
  const { secretKey } = emulator.machine(machine);
  return (await raw(emulator, "POST /m2m_tokens/verify", { key: secretKey, body: { token } })).status;
}
