const MAX_READ_LENGTH = 2000;
const MAX_LENGTH = 200;

// Prefixes anywhere, even inside a word: better to blot out `task_id` than to let a key through. A JWT begins with `eyJ`,
// base64url of `{"`. Long unbroken runs are taken for secrets whatever they begin with.
const SECRET_LIKE = /(?:(?:mt|m2m|ak|sk)_|eyJ)[\w.+/=~-]*|[\w+/=~-]{40,}/g;

/**
 * Text of the upstream made fit to be shown to callers: nothing that looks like a secret or is one of `secrets`, no control
 * characters, at most 200 characters. Text too long to be read with care is dropped whole.
 */
export function scrub(text: string, secrets: readonly string[]): string {
  if (text.length > MAX_READ_LENGTH) {
    return "";
  }
  let clean = text;
  for (const secret of secrets) {
    clean = clean.replaceAll(secret, "[redacted]");
  }
  clean = clean
    .replace(SECRET_LIKE, "[redacted]")
    .replace(/[\p{C}\s]+/gu, " ")
    .trim();
  // The cut may fall between the halves of a surrogate pair.
  return clean.length > MAX_LENGTH ? `${clean.slice(0, MAX_LENGTH - 1).replace(/[\uD800-\uDBFF]$/, "")}…` : clean;
}
