/** Values of a JSON5 text are changed, and what a person wrote around them stays. */
import * as fc from "fast-check";
import JSON5 from "json5";
import { describe, expect, it } from "vitest";
import { editText } from "../../../runtime/config/file/edit.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- whatever a text holds
const edit = (text: string, change: (value: any) => unknown): string => {
  const { text: edited, isRewritten } = editText(text, JSON5.parse(text), change(JSON5.parse(text)));
  expect(isRewritten).toBe(false);
  return edited;
};

const text = `// who does what
{
  agents: {
    list: [
      { id: "main", default: true }, // the first
      {
        id: 'raul', /* in the night */
        workspace: "~/raul",
      },
    ],
  },
  // ports
  gateway: { port: 18789, auth: { token: "\${TOKEN}" } },
}
`;

describe("an edited text", () => {
  it("has another value and nothing else changed", () => {
    expect(edit(text, (value) => ({ ...value, gateway: { ...value.gateway, port: 1 } }))).toBe(
      text.replace("18789", "1"),
    );
  });

  it("has a new key behind the last one, in the form of its neighbours", () => {
    expect(edit(text, (value) => ({ ...value, session: { dmScope: "per-peer" } }))).toBe(
      text.replace(/\n}\n$/, '\n  session: { dmScope: "per-peer" },\n}\n'),
    );
    expect(edit(text, (value) => ({ ...value, gateway: { ...value.gateway, bind: "lan" } }))).toBe(
      text.replace('TOKEN}" } }', 'TOKEN}" }, bind: "lan" }'),
    );
    expect(edit('{\n  "a": 1\n}', (value) => ({ ...value, b: [1] }))).toBe('{\n  "a": 1,\n  "b": [1]\n}');
    expect(edit("{}", () => ({ a: 1 }))).toBe('{\n  "a": 1\n}');
  });

  it("has an agent more, or less, and the comments of the others", () => {
    const added = edit(text, (value) => ({ ...value, agents: { list: [...value.agents.list, { id: "ana" }] } }));
    expect(added).toBe(text.replace("      },\n    ],", '      },\n      { id: "ana" },\n    ],'));
    expect(edit(added, () => JSON5.parse(text))).toBe(text);
    const without = edit(text, (value) => ({ ...value, agents: { list: value.agents.list.slice(1) } }));
    expect(without).toBe(text.replace('      { id: "main", default: true }, // the first\n', ""));
  });

  it("has a key of one agent changed where the agent stands", () => {
    const renamed = edit(text, (value) => {
      value.agents.list[1].workspace = "~/r";
      return value;
    });
    expect(renamed).toBe(text.replace("~/raul", "~/r"));
  });

  it("removes a key that stands twice altogether, and changes the one that counts", () => {
    const twice = "{ a: 1, b: 2, a: 3 }";
    expect(JSON5.parse(edit(twice, () => ({ b: 2 })))).toEqual({ b: 2 });
    expect(edit(twice, () => ({ a: 4, b: 2 }))).toBe("{ a: 1, b: 2, a: 4 }");
  });
});

const anything: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(0, 1, true, null, "text", 'it\'s "quoted" // no comment', "new\nline"),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b-c", "id", "d e", "list"), tie("any"), { maxKeys: 4 }),
    fc.uniqueArray(fc.record({ id: fc.constantFrom("x", "y", "z"), v: tie("any") }), {
      maxLength: 3,
      selector: ({ id }) => id,
    }),
  ),
})).any;
/** With the prototypes that a parser gives. */
const value = anything.map((made) => JSON.parse(JSON.stringify(made)) as unknown);

/** A text of the value as a person might write it, with a numbered comment here and there. */
function write(from: unknown, style: readonly number[]): string {
  let next = 0;
  let comments = 0;
  const pick = (): number => style[next++ % style.length] ?? 0;
  const blank = (indent: string): string =>
    [" ", `\n${indent}`, ` /* c${comments++} */ `, ` // c${comments++}\n${indent}`][pick() % 4] ?? " ";
  const make = (node: unknown, indent: string): string => {
    if (typeof node !== "object" || node === null) return JSON.stringify(node);
    const inner = `${indent}  `;
    const parts = Array.isArray(node)
      ? node.map((item) => make(item, inner))
      : Object.entries(node).map(([key, child]) => {
          const name = pick() % 2 === 0 && /^\w+$/.test(key) ? key : JSON.stringify(key);
          return `${name}${blank(inner)}:${blank(inner)}${make(child, inner)}`;
        });
    const [open, close] = Array.isArray(node) ? ["[", "]"] : ["{", "}"];
    const tail = parts.length > 0 && pick() % 2 === 0 ? "," : "";
    return `${open}${blank(inner)}${parts.join(`${blank(inner)},${blank(inner)}`)}${tail}${blank(indent)}${close}`;
  };
  return `${blank("")}${make(from, "")}${blank("")}`;
}

describe("whatever is written and whatever is wanted", () => {
  const styles = fc.array(fc.nat(7), { minLength: 1, maxLength: 30 });

  it("the text holds what is wanted, and is never written anew", () => {
    let rewritten = 0;
    fc.assert(
      fc.property(value, value, styles, (before, after, style) => {
        const result = editText(write(before, style), before, after);
        expect(JSON5.parse(result.text)).toEqual(JSON5.parse(JSON.stringify(after)));
        if (result.isRewritten) rewritten++;
      }),
      { numRuns: 2_000 },
    );
    expect(rewritten).toBe(0);
  });

  it("what is added takes no comment away", () => {
    fc.assert(
      fc.property(value, value, value, styles, (a, b, added, style) => {
        const before = { a, b };
        const from = write(before, style);
        const { text: edited } = editText(from, before, { ...before, new: added });
        for (const [comment] of from.matchAll(/\/[/*] c\d+/g)) expect(edited).toContain(comment);
      }),
      { numRuns: 1_000 },
    );
  });
});
