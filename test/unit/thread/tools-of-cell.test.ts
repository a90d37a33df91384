/** The list of tools that a turn is told, and how it goes to a model from there. */
import { expect, test } from "vitest";
import { up } from "../../../runtime/kernel/frames.ts";
import type { AskRecord, Mailbox } from "../../../runtime/thread/cell/mailbox.ts";
import { makeModel } from "../../../runtime/thread/cell/model.ts";
import { makeSlots } from "../../../runtime/thread/cell/slots.ts";
import { makeTools } from "../../../runtime/thread/cell/tools.ts";

const spec = (name: string) => ({ name, description: "d", parameters: { type: "object", properties: { a: {} } } });

/** A cell whose calls are answered with these texts, in turn; `offered` came with the delivery. */
function openWith(offered: string | undefined, ...answers: readonly string[]) {
  const asked: AskRecord[] = [];
  const toldLater: (readonly number[])[] = [];
  let calls = 0;
  const mailbox: Pick<Mailbox, "ask" | "tellLater"> = {
    tellLater: (...record) => void toldLater.push(record),
    ask: async (record) => {
      const text = answers[asked.length] ?? "";
      asked.push(record);
      return { status: "ok", text, parts: [] };
    },
  };
  const slots = makeSlots([]);
  const nextCall = (): number => calls++;
  const log = { warn: () => undefined };
  const tools = makeTools(slots, mailbox as Mailbox, 1, nextCall, offered);
  return {
    asked,
    toldLater,
    tools,
    model: makeModel(slots, mailbox as Mailbox, 1, nextCall, log, tools.toldText),
  };
}
const open = (...answers: readonly string[]) => openWith(undefined, ...answers);

const answer = JSON.stringify({ text: "hi" });
const messages = [{ role: "user", text: "hello" }] as const;

test("a list of tools is read once for as long as it is the same, and nobody can change it for the next turn", async () => {
  const [text, other] = [JSON.stringify([spec("one")]), JSON.stringify([spec("two")])];
  const { tools } = open(text, text, other);
  const first = await tools.list();
  expect(first).toEqual([spec("one")]);
  expect(await tools.list()).toBe(first);
  const parameters = first[0]?.parameters as { readonly properties: Record<string, unknown> };
  expect(() => (first as unknown[]).pop()).toThrow(TypeError);
  expect(() => (parameters.properties["a"] = 1)).toThrow(TypeError);
  expect(await tools.list()).toEqual([spec("two")]);
});

test("a request with the list as it was told has its text beside it; a list of the actor's own is in it", async () => {
  const [text, other] = [JSON.stringify([spec("three")]), JSON.stringify([spec("four")])];
  const { tools, model, asked } = open(text, other, answer, answer, answer, answer);
  const told = await tools.list();
  // Of another session of the agent: its turn was told another list meanwhile.
  await tools.list();
  await model.generate({ messages, tools: told });
  await model.generate({ messages, tools: told }, { onText: () => undefined });
  await model.generate({ messages, tools: [...told] });
  await model.generate({ messages });
  expect(asked.slice(2).map(({ op, b, c }) => [op, b, JSON.parse(c)])).toEqual([
    [up.model, ` ${text}`, { messages }],
    [up.model, `text ${text}`, { messages }],
    [up.model, "", { messages, tools: [spec("three")] }],
    [up.model, "", { messages }],
  ]);
});

test("a request with the list that its turn was told last says so, and no more while the turn asks for another", async () => {
  const [text, other] = [JSON.stringify([spec("five")]), JSON.stringify([spec("six")])];
  const { tools, model, asked } = open(text, answer, other, answer);
  const told = await tools.list();
  await model.generate({ messages, tools: told });
  const next = tools.list();
  await model.generate({ messages, tools: told });
  await next;
  expect(asked.filter(({ op }) => op === up.model).map(({ b }) => b)).toEqual([" =", ` ${text}`]);
});

test("a list that came with the delivery is the answer of the turn's first call, which the kernel is told of with the next", async () => {
  const [text, other] = [JSON.stringify([spec("seven")]), JSON.stringify([spec("eight")])];
  const first = openWith(text, answer, other);
  const told = await first.tools.list();
  expect(told).toEqual([spec("seven")]);
  await first.model.generate({ messages, tools: told });
  expect(await first.tools.list()).toEqual([spec("eight")]);
  expect(first.toldLater).toEqual([[up.tools, 1, 0]]);
  expect(first.asked.map(({ op, num, b }) => [op, num, b])).toEqual([
    [up.model, 1, " ="],
    [up.tools, 2, ""],
  ]);
  const later = openWith(text, answer, other);
  await later.model.generate({ messages });
  expect(await later.tools.list()).toEqual([spec("eight")]);
  expect(later.toldLater).toEqual([]);
});
