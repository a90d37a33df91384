/** Runs the tools of this thread: checks the parameters, and makes a result of whatever comes of it. */
import path from "node:path";
import { readParams, resultOf, toResult } from "./answer.ts";
import { type Commands, type CommandsDeps, makeCommands } from "./exec/commands.ts";
import { planCommand } from "./exec/place.ts";
import { makeProbe, type Probe } from "./exec/probe.ts";
import { makeFileTools } from "./files.ts";
import { fromInside } from "./inside.ts";
import { hostParams, type HostTool, processParams, webFetchParams } from "./params.ts";
import { readHeldMemory } from "../thread/process-memory.ts";
import type { Beside, HostCall, ToolsForKernel, ToolsInit } from "./port.ts";
import { refused } from "./results.ts";
import { makeWebFetch } from "./web/fetch-page.ts";
import { postAnswer } from "./web/post-answer.ts";

export interface ToolHostParts {
  readonly commands: Commands;
  readonly probe: Probe;
}

export function makeToolHost(
  { commands, probe }: ToolHostParts = makeParts({ name: "tools" }, undefined),
): ToolsForKernel {
  const files = makeFileTools();
  const web = makeWebFetch();
  const runFile = async ({
    tool,
    params,
    root,
    inside,
    beside = [],
    showsPictures = false,
  }: HostCall): Promise<object> => {
    if (!Object.hasOwn(hostParams, tool)) throw refused("not_found", `no tool is called ${tool}`);
    const name = tool as HostTool;
    const read = readParams(hostParams[name], tool, params);
    const other = besideOf(beside, read);
    const asked = (other === undefined ? fromInside(inside, read) : read) as never;
    return files[name](other ?? root, asked, showsPictures && other === undefined);
  };
  return {
    run: (call) => toResult(call.tool, () => runFile(call)),
    fetchPage: (call) =>
      toResult("web_fetch", () => web.run(readParams(webFetchParams, "web_fetch", call.params), call)),
    postAnswer: (post) => postAnswer(post),
    async plan(asked) {
      try {
        return await planCommand(asked);
      } catch (error) {
        return { ok: false, result: resultOf("exec", error) };
      }
    },
    start: (command) => toResult("exec", () => commands.start(command)),
    process: (params, owner) =>
      toResult("process", () => commands.process(readParams(processParams, "process", params), owner)),
    endTurn: (entry, turn) => commands.endTurn(entry, turn),
    endAll: (entry) => commands.endAll(entry),
    heldMemory: () => readHeldMemory(commands.processes()),
    probe: (asked) => probe.state(asked),
  };
}

/** `name`: of this thread, with which those of its commands begin; `gateway`: as orphans are known by, where the system has such a name. */
export function makeParts(
  { name }: ToolsInit,
  gateway: string | undefined,
  told: Pick<CommandsDeps, "onEnd" | "onSetup"> = {},
): ToolHostParts {
  const probe = makeProbe();
  return { probe, commands: makeCommands({ name, gateway, facts: probe.facts, ...told }) };
}

/** The folder beside the root that an absolute path is in. */
function besideOf(beside: readonly Beside[], params: object): string | undefined {
  const given = "path" in params && typeof params.path === "string" ? params.path : "";
  if (!path.isAbsolute(given)) return undefined;
  const place = path.normalize(given);
  return beside.find(({ root, folders = ["."] }) =>
    folders.some((name) => {
      const folder = path.join(root, name);
      return place === folder || place.startsWith(folder + path.sep);
    }),
  )?.root;
}
