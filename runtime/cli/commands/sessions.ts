/** `cloister sessions`: the conversations that the gateway keeps, newest first; their labels, their archive and new beginnings. */
import type { Scope } from "../../../auth/scopes.ts";
import { methods } from "../../edge/methods.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parseChangedSession, parseSessions } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatSessions } from "../views/sessions.ts";
import { formatJson } from "../views/table.ts";

export interface SessionsOptions {
  readonly agent?: string;
  /** Minutes. */
  readonly active?: number;
  readonly limit?: number;
  readonly json?: boolean;
}

export function runSessions(context: CliContext, { agent, active, limit, json }: SessionsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("sessions.list", {
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(active === undefined ? {} : { activeMinutes: active }),
      ...(limit === undefined ? {} : { limit }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const rows = parseSessions(payload);
    if (rows.length === 0) terminal.err("no session yet: a first message makes one");
    else for (const line of formatSessions(rows, context.nowMs())) terminal.out(line);
    return 0;
  });
}

/** `text` absent removes the label. */
export function runSessionsLabel(
  context: CliContext,
  key: string,
  text: string | undefined,
  options: Pick<SessionsOptions, "json">,
): Promise<ExitCode> {
  const done = text === undefined ? "has no label any more" : `is labelled "${text}"`;
  return change(context, "sessions.patch", { key, label: text ?? null }, done, options);
}

/** As `/model`, `/think` and `/verbose` take them; `send` as `/send` has it. */
export interface SessionSetOptions extends Pick<SessionsOptions, "json"> {
  readonly model?: string;
  readonly thinking?: string;
  readonly verbose?: string;
  readonly send?: string;
}

export function runSessionsSet(
  context: CliContext,
  key: string,
  { model, thinking, verbose, send, ...options }: SessionSetOptions,
): Promise<ExitCode> {
  const params = {
    key,
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinkingLevel: thinking }),
    ...(verbose === undefined ? {} : { verboseLevel: verbose }),
    ...(send === undefined ? {} : { sendPolicy: send === "inherit" ? null : send }),
  };
  return change(context, "sessions.patch", params, "has it from its next turn on", options, "operator.admin");
}

export function runSessionsArchive(
  context: CliContext,
  key: string,
  { undo, ...options }: Pick<SessionsOptions, "json"> & { readonly undo?: boolean },
): Promise<ExitCode> {
  const done = undo === true ? "is out of the archive" : "is archived; a message to it brings it back";
  return change(context, "sessions.patch", { key, archived: undo !== true }, done, options);
}

export function runSessionsPin(
  context: CliContext,
  key: string,
  { undo, ...options }: Pick<SessionsOptions, "json"> & { readonly undo?: boolean },
): Promise<ExitCode> {
  const done = undo === true ? "is pinned no more" : "is pinned: session.maintenance never ends it";
  return change(context, "sessions.patch", { key, pinned: undo !== true }, done, options);
}

export function runSessionsReset(
  context: CliContext,
  key: string,
  options: Pick<SessionsOptions, "json">,
): Promise<ExitCode> {
  const done = "begins anew; what was said so far can be read until session.maintenance removes it";
  return change(context, "sessions.reset", { key }, done, options);
}

export function runSessionsDelete(
  context: CliContext,
  key: string,
  options: Pick<SessionsOptions, "json">,
): Promise<ExitCode> {
  const done =
    "is gone; what was said in it can be read until session.maintenance removes it, and a message to it begins another";
  return change(context, "sessions.delete", { key }, done, options);
}

function change(
  context: CliContext,
  method: "sessions.patch" | "sessions.reset" | "sessions.delete",
  params: object,
  done: string,
  { json }: Pick<SessionsOptions, "json">,
  scope: Scope = methods[method].scope,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, [scope], async (client) => {
    const payload = await client.request(method, params);
    terminal.out(json === true ? formatJson(payload) : `${parseChangedSession(method, payload).key} ${done}`);
    return 0;
  });
}
