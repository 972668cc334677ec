/** The names of a certificate that can be a caller's. */
export interface AltNames {
  readonly uris: readonly string[];
  /** In lower case. */
  readonly dnsNames: readonly string[];
}

/** A type, and a value: a JSON string where it holds what would be ambiguous otherwise, else as it is. */
const ENTRY = /([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^",]*))(?:, |$)/y;

/**
 * Reads Node's text of a certificate's subject alternative names, `DNS:a.example, URI:spiffe://b/c`. A name may hold any
 * character at all, separators included, and Node quotes it then (CVE-2021-44532); a text that is not wholly understood
 * gives no names.
 */
export function parseSubjectAltNames(text: string): AltNames | undefined {
  const uris: string[] = [];
  const dnsNames: string[] = [];
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < text.length) {
    const [matched, type, quoted, plain = ""] = ENTRY.exec(text) ?? [];
    if (matched === undefined) return undefined;
    const value = quoted === undefined ? plain : unquoted(quoted);
    if (value === undefined) return undefined;
    if (type === "URI") uris.push(value);
    else if (type === "DNS") dnsNames.push(value.toLowerCase());
  }
  // A separator promises another entry.
  return text.endsWith(", ") ? undefined : { uris, dnsNames };
}

function unquoted(literal: string): string | undefined {
  try {
    const value: unknown = JSON.parse(literal);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
