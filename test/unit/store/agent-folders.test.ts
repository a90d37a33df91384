import { expect, it } from "vitest";
import { AgentFolders } from "../../../runtime/store/agent-folders.ts";

it("makes the usual folder of an agent, gives an unusual one as it was told, and knows no other agents", () => {
  const folders = new AgentFolders({
    stateDir: "/state",
    agents: [{ agentId: "main" }, { agentId: "raul", sessionsDir: "/elsewhere/raul" }],
  });
  expect([...folders.ids()]).toEqual(["main", "raul"]);
  expect(folders.of("main")).toBe("/state/agents/main/sessions");
  expect(folders.of("raul")).toBe("/elsewhere/raul");
  expect([folders.of("eve"), folders.has("eve"), folders.has("raul")]).toEqual([undefined, false, true]);
});
