/** What a cell is started with, as an agent of no configuration has it. */
import type { CellSpec } from "../../runtime/thread/cell-backend.ts";
import type { CellInit } from "../../runtime/thread/cell-port.ts";
import { agentSettings } from "./agent-settings.ts";

export function makeCellSpec(
  init: Partial<CellInit> & Pick<CellInit, "module" | "workspace">,
  changes: Partial<Omit<CellSpec, "init">> = {},
): CellSpec {
  const { agentId = "main" } = init;
  return {
    id: agentId,
    init: {
      agentId,
      incarnation: 1,
      model: undefined,
      options: {},
      settings: agentSettings(agentId),
      mainKey: "main",
      slots: [],
      ...init,
    },
    readable: [],
    level: "thread",
    trust: "confined",
    isSuspect: false,
    ...changes,
  };
}
