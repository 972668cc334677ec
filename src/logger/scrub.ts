/**
 * Removes from text whatever looks like a credential: `mt_` secrets, `ak_` and `sk_` keys, callers' `mgk_` keys, bearer
 * credentials, JWTs, the user part of URLs.
 *
 * A token's id, `mt_` and exactly 32 hexadecimal digits, is not a secret and stays: without it a log tells nobody which
 * token it is about. Anything else that begins with `mt_` goes, so that the ids of JWTs, which use all letters, go too. Of
 * what stays, nothing is a secret unless the upstream issues secrets of 32 hexadecimal digits; it would then have secrets
 * that cannot be told from ids.
 *
 * Rather too much goes than too little. Takes time linear in the length of the text.
 */
export function scrub(text: string): string {
  return unescapeTokenCharacters(text)
    .replace(BEARER, `$1 ${REDACTED}`)
    .replace(KEY, REDACTED)
    .replace(EMBEDDED_KEY, REDACTED)
    .replace(URL_USER, `://${REDACTED}@`)
    .replace(DOTTED, redactJwt);
}

export const REDACTED = "[redacted]";

/**
 * JSON inside text may spell characters of a token as `\u002b` or `\/`, which would hide where it ends. Only letters,
 * digits and what tokens consist of are spelled out, so that the JSON stays what it is.
 */
function unescapeTokenCharacters(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(ESCAPED, (spelled, code: string | undefined) => {
    const character = code === undefined ? "/" : String.fromCharCode(Number.parseInt(code, 16));
    return /[A-Za-z0-9+/=_.~-]/.test(character) ? character : spelled;
  });
}

// From the start of a run of backslashes only, so that a long run is read once.
const ESCAPED = /(?<!\\)\\+(?:u00([2-7][0-9a-f])|\/)/gi;

// Characters of keys and tokens, as they are or as URLs encode them.
const BODY = "(?:[A-Za-z0-9+/=_~-]|%(?:2[BDF]|3D|5F|7E))";

// A key begins a word, or follows an escape whose letters are not part of the word: the \n of JSON inside text, the %20 of
// a URL, the colours of a terminal.
const ESCAPES = ["\\\\[bfnrt]", "\\\\u[0-9A-Fa-f]{4}", "%[0-9A-Fa-f]{2}", "\\x1b\\[[0-9;]{0,16}[A-Za-z]"];
const WORD_START = `(?:(?<![A-Za-z0-9])|${ESCAPES.map((form) => `(?<=${form})`).join("|")})`;

const TOKEN_ID = "mt_[0-9A-Fa-f]{32}(?![A-Za-z0-9_+=~%-])";

// The public prefix alone, as `config check` shows it.
const BARE_PREFIX = `sk_(?:live|test)_(?!${BODY})`;

const KEY = new RegExp(`${WORD_START}(?!${TOKEN_ID}|${BARE_PREFIX})(?:mt|ak|sk|mgk)_${BODY}+`, "g");

// In the middle of a word it may be a name like task_count: only what is long and has a capital or a digit is a key. The
// look-ahead is bounded, so that a long run of near misses is not read again for each of them.
const EMBEDDED_KEY = new RegExp(`(?!${TOKEN_ID})(?:mt|ak|sk|mgk)_(?=[a-z_]{0,24}[A-Z0-9])${BODY}{16,}`, "g");

const BEARER = /(bearer)(?:[\s\\:=+"']+|%20)[A-Za-z0-9+/=_.~%-]+/gi;

const URL_USER = /:\/\/[^\s/?#@"'\\]{1,512}@/g;

// The start of a word only: a run without dots is then read once, not once for each of its characters.
const DOTTED = /(?<![\w-])[\w-]+(?:\.[\w-]*)+/g;

/** The base64url of `{"`, `{ `, and of `{` before a line break or a tab: what every JWT begins with. */
const JWT_START = /ey[JA]|ewo[gJi]|ew0K|ewki/;
const MIN_PART = 8;
const LONG_PART = 20;

function redactJwt(run: string): string {
  const parts = run.split(".");
  const at = parts.findIndex((part, index) => startsJwt(part, parts[index + 1] ?? "", parts[index + 2] ?? ""));
  if (at < 0) return run;
  return [...parts.slice(0, at), REDACTED].join(".");
}

// What is not known to begin with JSON must be longer than the labels of host names usually are.
function startsJwt(first: string, second: string, third: string): boolean {
  if (first.length >= MIN_PART && second.length >= MIN_PART && JWT_START.test(first)) return true;
  return Math.min(first.length, second.length, third.length) >= LONG_PART;
}
