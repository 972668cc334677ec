import { isRecord, type LogRecord } from "./record.ts";

const COLORS: Readonly<Record<string, string>> = {
  trace: "\u001b[2m",
  debug: "\u001b[2m",
  info: "\u001b[32m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
  fatal: "\u001b[31m",
};
const RESET = "\u001b[0m";
const LEVEL_WIDTH = 5;

/** A record for people: `12:00:01 info  listening rpc=127.0.0.1:50051`, the error below it, with a line break at the end. */
export function prettyLine(record: LogRecord, color: boolean): string {
  const { time, level, msg, err, ...fields } = record;
  const name = String(level);
  const label = color ? `${COLORS[name] ?? ""}${name.padEnd(LEVEL_WIDTH)}${RESET}` : name.padEnd(LEVEL_WIDTH);
  const parts = [clockTime(time), label];
  if (msg !== undefined) parts.push(printable(String(msg)));
  for (const [key, value] of Object.entries(fields)) parts.push(`${printable(key)}=${fieldText(value)}`);
  return `${[parts.join(" "), ...(err === undefined ? [] : errorLines(err, "", "  "))].join("\n")}\n`;
}

function errorLines(error: unknown, introduction: string, indent: string): string[] {
  if (!isRecord(error)) return [`${indent}${introduction}${fieldText(error)}`];
  const { name, reason, code, message, stack, cause, errors, ...rest } = error;
  const title = [name, reason, code].filter((part) => part !== undefined).join(" ");
  const lines = [`${indent}${introduction}${printable(title)}: ${printable(String(message ?? ""))}`];
  for (const [key, value] of Object.entries(rest)) lines.push(`${indent}  ${printable(key)}=${fieldText(value)}`);
  for (const frame of listOf(stack)) lines.push(`${indent}  ${printable(String(frame))}`);
  for (const one of listOf(errors)) lines.push(...errorLines(one, "gathered ", `${indent}  `));
  if (cause !== undefined) lines.push(...errorLines(cause, "caused by ", indent));
  return lines;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldText(value: unknown): string {
  if (typeof value === "string" && /^[^\s"'=]+$/.test(value)) return printable(value);
  return printable(JSON.stringify(value) ?? "undefined");
}

/** Control characters could forge lines or steer the terminal; they are shown as escapes. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]|\p{Bidi_Control}/gu, (character) => {
    if (character === "\n") return "\\n";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function clockTime(time: unknown): string {
  const date = new Date(String(time));
  if (Number.isNaN(date.getTime())) return "--:--:--";
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
