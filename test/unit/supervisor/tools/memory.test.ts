/** What the sources of an agent's memory are judged by. */
import { expect, test } from "vitest";
import { boundsOf } from "../../../../runtime/supervisor/tools/memory.ts";

const agent = (id: string) => ({
  workspace: `/srv/${id}`,
  agentDir: `/state/agents/${id}/agent`,
  sessionsDir: `/state/agents/${id}/sessions`,
});
const agents = new Map(["kim", "raul", "lee"].map((id) => [id, agent(id)]));
const boundsOfKim = (...paths: readonly string[]) =>
  boundsOf(
    "/state",
    agents,
    "/srv/kim",
    paths.map((path) => ({ path })),
  );

test("A8.1: a memory knows no place of another agent without a source outside of its workspace", () => {
  const nothing = { closed: [], open: [], others: [] };
  expect(boundsOfKim()).toEqual(nothing);
  expect(boundsOfKim("/srv/kim/notes", "/srv/kim")).toEqual(nothing);
});

test("a workspace is open to the memory whose source names it by its path, and to no other one", () => {
  const closed = ["/state", ...[...agents.values()].flatMap((one) => [one.agentDir, one.sessionsDir])];
  expect(boundsOfKim("/data/notes", "/srv/kim/notes")).toEqual({ closed, open: [], others: ["/srv/raul", "/srv/lee"] });
  expect(boundsOfKim("/srv/raul/notes", "/srv/lee-notes")).toEqual({
    closed,
    open: ["/srv/raul"],
    others: ["/srv/lee"],
  });
});
