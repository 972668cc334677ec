import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SUBJECT, TOKEN_ID, token } from "../../test/support/cli/samples.ts";
import { type ListTokensRequest, ListTokensResponseSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";

const OTHER_ID = "mt_00000000000000000000000000000001";

describe("token list", () => {
  let gateway: FakeGateway;
  let requests: ListTokensRequest[];
  let next: (pageToken: string) => string;
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    next = (pageToken) => (pageToken === "" ? "p2" : "");
    gateway = await FakeGateway.start({
      tokens: {
        listTokens(request) {
          requests.push(request);
          const first = request.pageToken === "";
          const one = first
            ? token({ revoked: true, revocationReason: "leaked \u001b]0;pwned\u0007 key" })
            : token({ id: OTHER_ID });
          return create(ListTokensResponseSchema, {
            tokens: [one],
            nextPageToken: next(request.pageToken),
            totalSize: 2n,
          });
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("prints a page as an aligned table and says how to go on", async () => {
    const { code, out, err } = await cli(["token", "list", "--subject", SUBJECT], { env });
    expect(code).toBe(0);
    const [header = "", row = ""] = out.split("\n");
    expect(row.indexOf("opaque")).toBe(header.indexOf("FORMAT"));
    expect(row.indexOf("revoked")).toBe(header.indexOf("STATE"));
    expect(row).toContain(TOKEN_ID);
    expect(err).toContain("1 of 2 tokens");
    expect(err).toContain("--page-token p2");
  });

  it("strips control characters that came with the data", async () => {
    const text = await cli(["token", "list", "--subject", SUBJECT], { env });
    expect(text.out).toContain("leaked ]0;pwned key");
    const json = await cli(["token", "list", "--subject", SUBJECT, "--output", "json"], { env });
    expect(json.out).not.toContain("\u001b");
    expect(JSON.parse(json.out).tokens[0].revocationReason).toBe("leaked \u001b]0;pwned\u0007 key");
  });

  it("colours the table on a terminal and nowhere else", async () => {
    const args = ["token", "list", "--subject", SUBJECT];
    expect((await cli(args, { env })).out).not.toContain("\u001b[");
    expect((await cli(args, { env, tty: true })).out).toContain("\u001b[31mrevoked");
    expect((await cli([...args, "--no-color"], { env, tty: true })).out).not.toContain("\u001b[");
    expect((await cli(args, { env: { ...env, NO_COLOR: "1" }, tty: true })).out).not.toContain("\u001b[");
    expect((await cli(args, { env: { ...env, FORCE_COLOR: "1" } })).out).toContain("\u001b[31mrevoked");
  });

  it("sends the filters and the page asked for", async () => {
    const args = ["--revoked", "--expired", "--page-size", "7", "--page-token", "p2"];
    await cli(["token", "list", "--subject", SUBJECT, ...args], { env });
    expect(requests[0]).toMatchObject({
      subject: SUBJECT,
      includeRevoked: true,
      includeExpired: true,
      pageSize: 7,
      pageToken: "p2",
    });
  });

  it("puts every page into one answer with --all", async () => {
    const { code, out } = await cli(["token", "list", "--subject", SUBJECT, "--all", "--output", "json"], { env });
    expect(code).toBe(0);
    const answer = JSON.parse(out);
    expect(answer.tokens.map(({ id }: { id: string }) => id)).toEqual([TOKEN_ID, OTHER_ID]);
    expect(answer).toMatchObject({ nextPageToken: "", totalSize: "2" });
  });

  it("gives up on a gateway that leads it in a circle", async () => {
    next = () => "p2";
    const { code, err } = await cli(["token", "list", "--subject", SUBJECT, "--all"], { env });
    expect(code).toBe(3);
    expect(err).toContain("repeats a page token");
    expect(requests).toHaveLength(2);
  });

  it.each([
    ["no subject", []],
    ["a subject that is not a machine", ["--subject", "machine-1"]],
    ["a page size of zero", ["--subject", SUBJECT, "--page-size", "0"]],
    ["a page size of a thousand", ["--subject", SUBJECT, "--page-size", "1000"]],
    ["an argument too many", ["--subject", SUBJECT, "surplus"]],
  ])("refuses %s with exit code 2", async (_, args) => {
    expect(await cli(["token", "list", ...args], { env })).toMatchObject({ code: 2, out: "" });
    expect(requests).toEqual([]);
  });
});
