/**
 * Commands that an operator has to allow (`tools.exec.ask`). What is allowed is one vector: its words, folder, environment, place, agent,
 * session, and whether the agent can write to it, as a hash. Nothing is run that was not asked for in these words.
 *
 *   asked ──allow──► allowed: the call that waits, or the next one of the session with the same vector, runs once ──► gone
 *     │  └──deny──► refused; the call that waits is told so ──► gone
 *     └──nobody decides in a day, or the gateway ends──► gone
 *
 * A call of a turn that the operator began waits for two minutes. Any other is answered `needs_approval` at once: nobody may be there, and a turn
 * that waits would hang. Source: needs A15.5, §17 (20).
 */
import { createHash, randomUUID } from "node:crypto";
import type { GatewayEvent } from "../../edge/port.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { CommandVector, Place } from "../../tools/port.ts";
import type { makeAuditNote } from "../audit-trail.ts";
import type { Handlers } from "../method-handlers.ts";
import { writtenOut } from "../written-out.ts";

export interface ApprovalsDeps {
  /** Default: random. */
  readonly newId?: () => string;
  readonly nowMs: () => number;
  readonly publish: (event: GatewayEvent) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
}

/** One call of `exec`. */
export interface CommandForApproval {
  readonly agentId: string;
  /** Of a sub-agent's run: that of the run. */
  readonly sessionKey: string;
  readonly runId: string;
  readonly vector: CommandVector;
  readonly place: Place["type"];
  /** Its input stays open: what an interpreter runs may come after it was allowed. */
  readonly hasInput: boolean;
}

export type Approval =
  | { readonly type: "allowed" }
  | { readonly type: "denied"; readonly id: string }
  /** Nobody has decided; `waited`: for as long as a call may wait. */
  | { readonly type: "waits"; readonly id: string; readonly waited: boolean }
  | { readonly type: "full"; readonly why: string };

export interface Approvals {
  /** `waits`: somebody may be there who decides. `isOver`: nobody follows the call any more, which then runs nothing. */
  ask(command: CommandForApproval, waits: boolean, isOver: () => boolean): Promise<Approval>;
  readonly methods: Handlers<"exec.approval.list" | "exec.approval.resolve">;
  /** Whoever waits is told that nobody has decided. */
  close(): void;
}

interface Request extends CommandForApproval {
  readonly id: string;
  readonly hash: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  isAllowed: boolean;
  /** Calls that wait for the decision, oldest first. */
  readonly waiting: Waiting[];
}

type Decision = "allow" | "deny" | "late";

interface Waiting {
  readonly answer: (decision: Decision) => void;
  readonly isOver: () => boolean;
}

export function makeApprovals({ newId = randomId, nowMs, publish, note }: ApprovalsDeps): Approvals {
  const requests = new Map<string, Request>();
  let isClosed = false;

  const all = (): readonly Request[] => {
    for (const { id, expiresAtMs } of requests.values()) if (expiresAtMs <= nowMs()) requests.delete(id);
    return [...requests.values()];
  };

  const tell = (): void => {
    const total = all().filter(({ isAllowed }) => !isAllowed).length;
    publish({ event: "exec.approvals", payload: { total } });
  };

  const drop = (request: Request): void => {
    requests.delete(request.id);
    tell();
  };

  const raise = (command: CommandForApproval, hash: string): Request | { readonly why: string } => {
    const rows = all();
    const own = rows.filter(({ agentId }) => agentId === command.agentId).length;
    if (own >= limits.execApprovalsPerAgentMax || rows.length >= limits.execApprovalsMax)
      return {
        why: `${own} commands of ${command.agentId} and ${rows.length} in all wait for an operator; the bounds are ${limits.execApprovalsPerAgentMax} and ${limits.execApprovalsMax}`,
      };
    const createdAtMs = nowMs();
    const expiresAtMs = createdAtMs + limits.execApprovalAgeMs;
    const request: Request = { ...command, id: newId(), hash, createdAtMs, expiresAtMs, isAllowed: false, waiting: [] };
    requests.set(request.id, request);
    note({ type: "exec_approval_requested", subject: command.sessionKey, object: request.id, detail: request.hash });
    tell();
    return request;
  };

  const decision = (request: Request, isOver: () => boolean): Promise<Decision> => {
    const { promise, resolve: answer } = Promise.withResolvers<Decision>();
    const timer = setTimeout(answer, limits.execApprovalWaitMs, "late");
    const one = { answer, isOver };
    request.waiting.push(one);
    return promise.finally(() => {
      clearTimeout(timer);
      request.waiting.splice(request.waiting.indexOf(one), 1);
    });
  };

  return {
    async ask(command, waits, isOver) {
      const hash = hashOf(command);
      const found = all().find((request) => request.hash === hash);
      if (found?.isAllowed === true) {
        drop(found);
        return { type: "allowed" };
      }
      const request = found ?? raise(command, hash);
      if ("why" in request) return { type: "full", why: request.why };
      const { id } = request;
      if (!waits || isClosed) return { type: "waits", id, waited: false };
      const decided = await decision(request, isOver);
      if (decided === "late") return { type: "waits", id, waited: true };
      return decided === "allow" ? { type: "allowed" } : { type: "denied", id };
    },
    methods: {
      "exec.approval.list": () => ({ ts: nowMs(), requests: all().map(show) }),
      "exec.approval.resolve": ({ id, decision: decided }, { clientId }) => {
        const request = all().find((one) => one.id === id);
        if (request === undefined || request.isAllowed)
          throw failure(
            "CLOISTER_REQUEST_INVALID",
            `no command that waits has the id ${id}; it was decided, or nobody decided it in time`,
            "cloister approvals list",
          );
        note({ type: "exec_approval_decided", subject: clientId, object: id, detail: `${decided}: ${request.hash}` });
        const [first, ...others] = request.waiting.filter(({ isOver }) => !isOver());
        if (decided === "deny") {
          drop(request);
          for (const { answer } of request.waiting.slice()) answer("deny");
        } else if (first === undefined) {
          request.isAllowed = true;
          tell();
        } else {
          // Once is once: another call with the same words asks again.
          drop(request);
          first.answer("allow");
          for (const { answer } of others) answer("late");
        }
        return { id, decision: decided, ran: first !== undefined && decided === "allow-once" };
      },
    },
    close() {
      isClosed = true;
      for (const { waiting } of requests.values()) for (const { answer } of waiting.slice()) answer("late");
    },
  };
}

const randomId = (): string => `x-${randomUUID().slice(0, 8)}`;

/** Everything that makes the command what it is. */
function hashOf({ vector: { argv, cwd, env }, agentId, sessionKey, place, hasInput }: CommandForApproval): string {
  const variables = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([argv, cwd, variables, agentId, sessionKey, place, hasInput]))
    .digest("hex");
}

function show(request: Request) {
  const { id, agentId, sessionKey, runId, vector, place, hasInput, hash, createdAtMs, expiresAtMs, isAllowed } =
    request;
  const { argv, cwd, env } = vector;
  // For eyes: each word with its end, and nothing that is not seen.
  const shown = {
    words: written(argv),
    folder: written(cwd),
    variables: Object.entries(env).map(([name, value]) => `${name}=${written(value)}`),
  };
  const what = { id, agentId, sessionKey, runId, argv, cwd, env, shown, place, input: hasInput };
  return { ...what, hash, createdAtMs, expiresAtMs, allowed: isAllowed };
}

const written = (value: string | readonly string[]): string => writtenOut(JSON.stringify(value));
