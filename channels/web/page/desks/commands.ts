/** Commands that agents want to run and an operator has to allow. What is shown is what runs: the gateway holds a decision to it, once. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { count, fieldsOf, list, text, texts } from "../wire.ts";
import type { Work } from "../work.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export interface WaitingCommand {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  /** Its words as JSON, with what no eye would see written out; this and the next are the gateway's own texts for eyes. */
  readonly words: string;
  readonly folder: string;
  /** `host`, or the sandbox that it runs in. */
  readonly place: string;
  readonly variables: readonly string[];
  /** The agent may write to it while it runs. */
  readonly takesInput: boolean;
  readonly askedAtMs: number;
  /** It runs when its session asks again. */
  readonly isAllowed: boolean;
}

export interface CommandDesk {
  /** Oldest first. */
  readonly state: ReadonlySignal<readonly WaitingCommand[]>;
  readonly read: () => Promise<void>;
  readonly decide: (id: string, decision: "allow-once" | "deny") => void;
}

export function openCommands({ request }: Pick<DeskDeps, "request">, { act }: Pick<Work, "act">): CommandDesk {
  const state = signal<readonly WaitingCommand[]>([]);
  const latest = makeLatest();

  /** Who may not decide is not told what waits. */
  const read = async (): Promise<void> => {
    const isLatest = latest();
    const reply = await request("exec.approval.list", {});
    const rows = reply.ok ? list(fieldsOf(reply.payload)["requests"]).flatMap(parseCommand) : [];
    if (isLatest()) state.value = rows;
  };

  return {
    state,
    read,
    decide(id, decision) {
      const failed = decision === "deny" ? "The command could not be denied" : "The command could not be allowed";
      void act(id, { method: "exec.approval.resolve", params: { id, decision }, failed }, read);
    },
  };
}

function parseCommand(value: unknown): readonly WaitingCommand[] {
  const row = fieldsOf(value);
  const [id, agentId] = [text(row["id"]), text(row["agentId"])];
  if (id === undefined || agentId === undefined) return [];
  const shown = fieldsOf(row["shown"]);
  return [
    {
      id,
      agentId,
      sessionKey: text(row["sessionKey"]) ?? "",
      words: text(shown["words"]) ?? "",
      folder: text(shown["folder"]) ?? "",
      place: text(row["place"]) ?? "",
      variables: texts(shown["variables"]),
      takesInput: row["input"] === true,
      askedAtMs: count(row["createdAtMs"]),
      isAllowed: row["allowed"] === true,
    },
  ];
}
