/** The session tools as agents call them, in one table. Source: behaviour §3. */
import type { sessionTools } from "../../../auth/tool-names.ts";
import { makeAgentsList } from "./agents-list.ts";
import { makeSessionFinder, type SessionToolsDeps } from "./find-session.ts";
import { makeSessionStatus } from "./session-status.ts";
import { makeSessions } from "./sessions.ts";
import { makeSessionsHistory } from "./sessions-history.ts";
import { makeSessionsList } from "./sessions-list.ts";
import { makeSessionsSearch } from "./sessions-search.ts";
import { makeSessionsSend } from "./sessions-send.ts";
import { makeSessionsSpawn } from "./sessions-spawn.ts";
import { makeSessionsYield } from "./sessions-yield.ts";
import { makeSubagentsTool } from "./subagents.ts";
import type { Tool } from "./table.ts";

export function makeSessionTools(deps: SessionToolsDeps): Readonly<Record<(typeof sessionTools)[number], Tool>> {
  const find = makeSessionFinder(deps);
  return {
    agents_list: makeAgentsList(deps, find),
    session_status: makeSessionStatus(deps, find),
    sessions: makeSessions(deps, find),
    sessions_history: makeSessionsHistory(deps, find),
    sessions_list: makeSessionsList(deps, find),
    sessions_search: makeSessionsSearch(deps, find),
    sessions_send: makeSessionsSend(deps, find),
    sessions_spawn: makeSessionsSpawn(deps, find),
    sessions_yield: makeSessionsYield(deps),
    subagents: makeSubagentsTool(deps),
  };
}
