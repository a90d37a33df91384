/** `ctx.model` in the cell: one record up, pieces of text and one answer down. What the request says is checked by who answers. */
import { failure } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import type { Model, ModelAnswer } from "../model-port.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Slots } from "./slots.ts";
import { textOfList } from "./tools.ts";

/** `nextCall` numbers the calls of the turn; `toldText` is the list of tools that it was told last, which is not told again. */
export function makeModel(
  slots: Slots,
  mailbox: Mailbox,
  turn: number,
  nextCall: (what: string) => number,
  log: { warn(text: string): void },
  toldText: () => string | undefined,
): Model {
  const generate: Model["generate"] = async ({ model = "", ...request }, { onText } = {}) => {
    const num = nextCall("ctx.model");
    const slot = slots.find(["model"], "gateway");
    const { tools, ...others } = request;
    const list = textOfList(tools);
    const beside = list === undefined ? "" : list === toldText() ? " =" : ` ${list}`;
    const c = JSON.stringify(list === undefined ? request : others);
    const record = { op: up.model, turn, slot, num, a: model, c, credit: false };
    if (onText === undefined) return read(await mailbox.ask({ ...record, b: beside }, "result"));
    const onPiece = (text: string): void => {
      try {
        onText(text);
      } catch (error) {
        // It hears pieces, and decides nothing: the answer comes all the same.
        log.warn(`onText of ctx.model threw: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    return read(await mailbox.ask({ ...record, b: `text${beside}`, onText: onPiece }, "result"));
  };
  return {
    generate,
    text: async (prompt, request = {}) =>
      (await generate({ ...request, messages: [{ role: "user", text: prompt }] })).text,
    async structured(request) {
      const { text, model, finish } = await generate(request);
      try {
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw failure(
          "CLOISTER_MODEL_OUTPUT_INVALID",
          `the answer of ${model} is not JSON (it ended with ${finish}): ${text.slice(0, 200)}`,
          "ask again, with more maxOutputTokens if it was cut",
          error,
        );
      }
    },
  };
}

function read(answer: { readonly text: string }): ModelAnswer {
  return JSON.parse(answer.text) as ModelAnswer;
}
