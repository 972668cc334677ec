import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Every page from `first` on.
 * @throws ConnectError when a page cannot be had, or when the gateway sends the caller in a circle
 */
export async function allPages<Page extends { readonly nextPageToken: string }>(
  first: string,
  fetchPage: (token: string) => Promise<Page>,
): Promise<Page[]> {
  const pages: Page[] = [];
  const seen = new Set<string>();
  for (let token = first; ; ) {
    seen.add(token);
    const page = await fetchPage(token);
    pages.push(page);
    token = page.nextPageToken;
    if (token === "") {
      return pages;
    }
    if (seen.has(token)) {
      throw new ConnectError("the gateway repeats a page token", Code.DataLoss);
    }
  }
}
