/**
 * Tools as a model is told of them: name, what it is for, and its parameters as JSON Schema, from the schema that checks a call.
 * Providers want an object at the top, so that the forms of a tool with several actions are shown as one.
 */
import { z } from "zod";
import type { tools as allTools } from "../../../auth/tool-names.ts";
import type { ToolSpec } from "../../thread/actor-port.ts";
import type { ToolTable } from "./table.ts";

export const toolTexts: Readonly<Record<(typeof allTools)[number], string>> = {
  read: "Read lines of a text file.",
  write: "Write a text file, whole. Folders are made.",
  edit: "Replace pieces of a text file, each of which stands in it once.",
  apply_patch: "Change several text files by one patch.",
  ls: "List a folder.",
  web_fetch: "Fetch a page of the web as text. It has no session: no cookies, no log-in.",
  exec: "Run a command. One that takes long goes on in the background.",
  process: "Commands that run in the background: list them, read their output, write to them, end them.",
  memory_search: "Search the notes: MEMORY.md, memory/ and what else the operator put beside them.",
  memory_get: "Read lines of a note that memory_search found.",
  agents_list: "The agents that the caller may reach, and how.",
  cron: "Let something happen at a time: reminders, regular work. You see and change the jobs that you set.",
  message:
    "Say something on a channel now, in the middle of your work. It goes to this conversation unless you name another place. Do not repeat it in your answer: answer NO_REPLY when nothing is left to say.",
  config_propose: "Propose a change of the gateway's configuration. An operator decides; nothing changes before.",
  session_status: "The state of one session.",
  sessions: "Label, archive, reset or delete a session, or end what runs in it.",
  sessions_history: "What was said in a session.",
  sessions_list: "The sessions that the caller may see.",
  sessions_search: "Messages that contain a text.",
  sessions_send: "Send a message to another session, and wait for its answer.",
  sessions_spawn: "Start a sub-agent for one task. Its result comes as a message; do not poll for it.",
  sessions_yield: "End the turn until a sub-agent has ended.",
  subagents: "The sub-agents of the caller: list them, wait for them, end one.",
};

type Schema = Readonly<Record<string, unknown>>;

/** What travels in the body of a call is a parameter to a model; what only says that it is there is none. */
const bodies: Readonly<Record<string, { readonly hidden: readonly string[]; readonly shown: Schema }>> = {
  sessions_send: { hidden: ["hasMessage"], shown: { message: { type: "string", description: "What to send." } } },
  sessions_spawn: { hidden: [], shown: { task: { type: "string", description: "What the sub-agent is to do." } } },
};

/** `ToolSpec[]` as JSON, of the names that the table has or another program has told, in the order given. */
export function describeTools(
  tools: ToolTable,
  names: readonly string[],
  toldOf: (name: string) => ToolSpec | undefined,
): string {
  const specs = names.flatMap((name) => {
    const told = toldOf(name);
    if (told !== undefined) return [JSON.stringify(told)];
    const tool = tools[name];
    const description = (toolTexts as Readonly<Record<string, string>>)[name];
    return tool === undefined || description === undefined ? [] : [textOf(name, description, tool)];
  });
  return `[${specs.join()}]`;
}

/** Each turn of a model is told of all of them, and they stay the same for as long as the program runs. */
const known = new WeakMap<ToolTable[string], string>();

function textOf(name: string, description: string, tool: ToolTable[string]): string {
  const before = known.get(tool);
  if (before !== undefined) return before;
  const parameters = withBody(name, asObject(z.toJSONSchema(tool.parameters, { io: "input" })));
  const text = JSON.stringify({ name, description, parameters } satisfies ToolSpec);
  known.set(tool, text);
  return text;
}

interface ObjectForm {
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
}

function asObject(schema: Schema): ObjectForm {
  const forms = (schema["oneOf"] ?? schema["anyOf"]) as readonly Schema[] | undefined;
  if (forms === undefined) return formOf(schema);
  const all = forms.map(formOf);
  const properties: Record<string, Schema> = {};
  for (const form of all)
    for (const [key, value] of Object.entries(form.properties)) properties[key] = either(properties[key], value);
  const required = (all[0]?.required ?? []).filter((key) => all.every((form) => form.required.includes(key)));
  return { properties, required };
}

function formOf(schema: Schema): ObjectForm {
  const properties = (schema["properties"] ?? {}) as Readonly<Record<string, Schema>>;
  return {
    // A parameter that no value fits is there to say why it is refused.
    properties: Object.fromEntries(Object.entries(properties).filter(([, value]) => value["not"] === undefined)),
    required: (schema["required"] ?? []) as readonly string[],
  };
}

/** The actions of the forms become one list of words; other parameters of one name are alike in every form. */
function either(before: Schema | undefined, next: Schema): Schema {
  if (before === undefined || before["const"] === next["const"])
    return next["const"] === undefined ? next : (before ?? next);
  const words = [before, next].flatMap(({ enum: several, const: one }) => (several as unknown[] | undefined) ?? [one]);
  return { type: "string", enum: [...new Set(words)] };
}

function withBody(name: string, { properties, required }: ObjectForm): ToolSpec["parameters"] {
  const { hidden, shown } = bodies[name] ?? { hidden: [], shown: {} };
  const kept = Object.entries(properties).filter(([key]) => !hidden.includes(key));
  const needed = [...Object.keys(shown), ...required.filter((key) => !hidden.includes(key))];
  return {
    type: "object",
    properties: { ...shown, ...Object.fromEntries(kept) },
    ...(needed.length === 0 ? {} : { required: needed }),
  };
}
