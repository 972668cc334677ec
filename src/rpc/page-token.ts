import { hash } from "node:crypto";
import { GatewayError } from "../token/errors.ts";

const FORM = /^([0-9a-z.-]{1,128})~([0-9A-Za-z_-]{22})$/;

/**
 * Where a listing goes on, bound to the question it belongs to: a page token given with another question, cut short or
 * made up is refused. It protects from mistakes, not from forgery: whoever forges one reads what it may read anyway.
 */
export function formatPageToken(position: string, question: readonly string[]): string {
  return `${position}~${checkOf(position, question)}`;
}

/** @throws GatewayError PAGE_TOKEN_INVALID */
export function parsePageToken(text: string, question: readonly string[]): string {
  const [, position, check] = FORM.exec(text) ?? [];
  if (position === undefined || check !== checkOf(position, question)) {
    throw pageTokenInvalid();
  }
  return position;
}

export function pageTokenInvalid(): GatewayError {
  const description = "not a page token of this request: repeat the request with next_page_token exactly as answered";
  return new GatewayError("PAGE_TOKEN_INVALID", description, { violations: [{ field: "page_token", description }] });
}

function checkOf(position: string, question: readonly string[]): string {
  return hash("sha256", JSON.stringify([position, ...question]), "base64url").slice(0, 22);
}
