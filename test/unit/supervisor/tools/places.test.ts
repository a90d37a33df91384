/** Where commands run, and what nothing there may show. */
import { expect, test } from "vitest";
import { placeOfCommands } from "../../../../runtime/supervisor/tools/places.ts";
import { loadText } from "../../config/load-text.ts";

test("a sandbox shows no state of any agent, also not its own, and no folder of another one", async () => {
  const { resolved } = await loadText({
    agents: {
      list: [
        {
          id: "kim",
          workspace: "/srv/kim",
          agentDir: "/srv/state/kim",
          sandbox: { mode: "all", workspaceAccess: "rw" },
        },
        { id: "max" },
        { id: "lee", workspace: "/srv/lee", agentDir: "/srv/states/lee", sandbox: { workspaceRoot: "/srv/boxes" } },
      ],
    },
  });
  const agents = new Map(resolved.agents.map((agent) => [agent.id, agent]));
  const [kim, , lee] = resolved.agents;
  if (kim === undefined || lee === undefined) throw new Error("no agents");
  const place = placeOfCommands({ config: resolved, agents }, kim, "agent:kim:main", false);
  expect(place).toMatchObject({ type: "bubblewrap", folder: "/srv/kim", inside: "/workspace" });
  const hidden = "hidden" in place ? place.hidden : [];
  expect(hidden).not.toContain("/srv/kim");
  expect(new Set(hidden).size).toBe(hidden.length);
  expect(hidden).toEqual(
    expect.arrayContaining([
      resolved.stateDir,
      resolved.configPath,
      "/srv/state/kim",
      kim.sessionsDir,
      "/srv/lee",
      "/srv/states/lee",
      lee.sessionsDir,
      "/srv/boxes",
      // Whoever reaches it could start anything.
      "/run/docker.sock",
      "/var/run/docker.sock",
    ]),
  );
  expect(placeOfCommands({ config: resolved, agents }, kim, "agent:kim:main", true)).toEqual({
    type: "host",
    folder: "/srv/kim",
  });
});
