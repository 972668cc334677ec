import { describe, expect, it } from "vitest";
import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";

interface Example {
  readonly block: string;
  readonly fields: readonly string[];
  /** The dynamic table after it, the newest entry first. */
  readonly table: readonly string[];
  readonly tableBytes: number;
}

const GET = ":method: GET";
const WWW = ":authority: www.example.com";
const NO_CACHE = "cache-control: no-cache";
const CUSTOM = "custom-key: custom-value";
const PRIVATE = "cache-control: private";
const DATE = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const LATER = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const LOCATION = "location: https://www.example.com";
const COOKIE = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const GZIP = "content-encoding: gzip";

const SINGLE: [section: string, example: Example][] = [
  [
    "C.2.1",
    {
      block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
      fields: ["custom-key: custom-header"],
      table: ["custom-key: custom-header"],
      tableBytes: 55,
    },
  ],
  ["C.2.2", { block: "040c 2f73 616d 706c 652f 7061 7468", fields: [":path: /sample/path"], table: [], tableBytes: 0 }],
  [
    "C.2.3",
    { block: "1008 7061 7373 776f 7264 0673 6563 7265 74", fields: ["password: secret"], table: [], tableBytes: 0 },
  ],
  ["C.2.4", { block: "82", fields: [GET], table: [], tableBytes: 0 }],
];

const REQUESTS: Omit<Example, "block">[] = [
  { fields: [GET, ":scheme: http", ":path: /", WWW], table: [WWW], tableBytes: 57 },
  { fields: [GET, ":scheme: http", ":path: /", WWW, NO_CACHE], table: [NO_CACHE, WWW], tableBytes: 110 },
  {
    fields: [GET, ":scheme: https", ":path: /index.html", WWW, CUSTOM],
    table: [CUSTOM, NO_CACHE, WWW],
    tableBytes: 164,
  },
];

const RESPONSES: Omit<Example, "block">[] = [
  {
    fields: [":status: 302", PRIVATE, DATE, LOCATION],
    table: [LOCATION, DATE, PRIVATE, ":status: 302"],
    tableBytes: 222,
  },
  {
    fields: [":status: 307", PRIVATE, DATE, LOCATION],
    table: [":status: 307", LOCATION, DATE, PRIVATE],
    tableBytes: 222,
  },
  { fields: [":status: 200", PRIVATE, LATER, LOCATION, GZIP, COOKIE], table: [COOKIE, GZIP, LATER], tableBytes: 215 },
];

const SEQUENCES: [section: string, maxTableBytes: number, lists: Omit<Example, "block">[], blocks: string[]][] = [
  [
    "C.3",
    4_096,
    REQUESTS,
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  ],
  [
    "C.4",
    4_096,
    REQUESTS,
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ],
  [
    "C.5",
    256,
    RESPONSES,
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
       2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
       54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
       5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
  ],
  [
    "C.6",
    256,
    RESPONSES,
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
       77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
       9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
  ],
];

describe("the examples of RFC 7541, appendix C", () => {
  it.each(SINGLE)("decode as in %s", (_section, { block, ...rest }) => {
    expect(decoded(new HpackDecoder(4_096), block)).toEqual(rest);
  });

  it.each(SEQUENCES)("decode one after another as in %s", (_section, maxTableBytes, lists, blocks) => {
    const decoder = new HpackDecoder(maxTableBytes);
    for (const [at, block] of blocks.entries()) expect(decoded(decoder, block)).toEqual(lists[at]);
  });
});

function decoded(decoder: HpackDecoder, hex: string): Omit<Example, "block"> {
  const fields = fieldsOf(decoder, Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
  const table = tableOf(decoder);
  return {
    fields: fields.map(lineOf),
    table: table.map(lineOf),
    tableBytes: table.reduce((sum, { size }) => sum + size, 0),
  };
}

function lineOf({ name, value }: HeaderField): string {
  return `${name}: ${value}`;
}

function fieldsOf(decoder: HpackDecoder, block: Uint8Array): HeaderField[] {
  const fields: HeaderField[] = [];
  decoder.decode(block, 0, block.length, fields, 65_536);
  return fields;
}

/** Asked entry by entry, until there is none. */
function tableOf(decoder: HpackDecoder): HeaderField[] {
  const table: HeaderField[] = [];
  for (let index = 62; index < 127; index++) {
    try {
      table.push(...fieldsOf(decoder, Uint8Array.of(0x80 | index)));
    } catch {
      return table;
    }
  }
  return table;
}
