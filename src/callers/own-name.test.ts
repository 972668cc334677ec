import { expect, it } from "vitest";
import { isOwnName, isOwnOrigin } from "./own-name.ts";

it.each(["localhost", "LocalHost:1", "app.localhost:65535", "127.0.0.1", "10.1.2.3:8080", "[::1]", "[::1]:8080"])(
  "takes %s for a name that nobody can point elsewhere",
  (host) => {
    expect(isOwnName(host)).toBe(true);
    expect(isOwnOrigin(`http://${host}`)).toBe(true);
    expect(isOwnOrigin(`https://${host}`)).toBe(true);
  },
);

it.each([
  "",
  "evil.example",
  "evil.example:80",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "localhost:x",
  "a@localhost",
  "::1",
  "[::1",
  "[localhost]",
  ".localhost",
])("does not take %j for one", (host) => {
  expect(isOwnName(host)).toBe(false);
  expect(isOwnOrigin(`http://${host}`)).toBe(false);
});

it.each(["null", "", "localhost", "file://localhost", "http://localhost/", "http://localhost http://evil.example"])(
  "does not take %j for the origin of an own page",
  (origin) => expect(isOwnOrigin(origin)).toBe(false),
);
