/**
 * The configuration as it is written, without its secrets: shown, edited, checked while it is typed, and applied. What is applied is
 * what was checked last, against the text that it was compared with (`baseHash`).
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import { noJob, type Timers } from "../client.ts";
import { count, type Fields, fieldsOf, list, text, texts } from "../wire.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export interface ConfigIssue {
  readonly path: string;
  readonly message: string;
}

/** One place that differs; a side that is absent is not there. */
export interface ConfigChange {
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
  readonly isHidden: boolean;
}

/** What `config.check` says of an edited text. */
export interface ConfigCheck {
  readonly hash: string;
  readonly valid: boolean;
  readonly issues: readonly ConfigIssue[];
  readonly changes: readonly ConfigChange[];
  readonly moreChanges: number;
  /** What it does to the gateway that runs, a line each. */
  readonly effects: readonly string[];
  /** Why it has to be said twice. */
  readonly guarded?: string;
}

/** What the schema says of a key. */
export interface KeyFacts {
  readonly path: string;
  readonly text: string;
  readonly type: string;
  readonly choices: readonly string[];
  readonly fallback?: string;
  readonly later?: string;
  readonly children: readonly string[];
}

export interface ConfigState {
  readonly file: string;
  /** Of the text that was read. */
  readonly hash: string;
  readonly written: string;
  readonly draft: string;
  /** Why the file that is there cannot be used, or edited here. */
  readonly broken: readonly ConfigIssue[];
  /** The draft is no JSON. */
  readonly syntax: string | undefined;
  /** Of the draft as it is now; undefined while that is not known. */
  readonly check: ConfigCheck | undefined;
  readonly isApplying: boolean;
  /** What became of the last action. */
  readonly told: string | undefined;
  readonly error: string | undefined;
  readonly key: KeyFacts | undefined;
  readonly keyError: string | undefined;
}

const nothing: ConfigState = {
  file: "",
  hash: "",
  written: "",
  draft: "",
  broken: [],
  syntax: undefined,
  check: undefined,
  isApplying: false,
  told: undefined,
  error: undefined,
  key: undefined,
  keyError: undefined,
};

export interface ConfigDesk {
  readonly state: ReadonlySignal<ConfigState>;
  /** Reads the file, and drops the draft. */
  readonly read: () => void;
  /** Reads it unless there is a draft that it would drop; one that nobody has checked is checked. */
  readonly look: () => void;
  /** The file has changed: a draft is compared with what is there now. */
  readonly changed: () => void;
  readonly write: (draft: string) => void;
  readonly apply: () => void;
  readonly lookUp: (path: string) => void;
}

/** A pause in the typing; each check reads the whole configuration as a start would. */
const checkDelayMs = 400;

const notConnected = "The gateway is not connected: the text is checked when it is.";

export const isEdited = ({ draft, written }: ConfigState): boolean => draft !== written;

/** The file is no longer what the draft began with. */
export const isStale = ({ check, hash }: ConfigState): boolean => check !== undefined && check.hash !== hash;

export function openConfig({ request, isReady }: DeskDeps, timers: Timers): ConfigDesk {
  const state = signal(nothing);
  const set = (change: Partial<ConfigState>): void => {
    state.value = { ...state.value, ...change };
  };
  const [ofCheck, ofKey, ofRead] = [makeLatest(), makeLatest(), makeLatest()];
  let cancel = noJob;

  const read = async (told?: string): Promise<void> => {
    const isLatest = ofRead();
    cancel();
    ofCheck();
    const reply = await request("config.get", {});
    if (!isLatest()) return;
    if (!reply.ok) return set({ error: `The configuration could not be read: ${reply.error.message}` });
    const fields = fieldsOf(reply.payload);
    const parsed = fields["parsed"];
    const written = parsed === undefined ? "" : `${JSON.stringify(parsed, null, 2)}\n`;
    set({
      file: text(fields["path"]) ?? "",
      hash: text(fields["hash"]) ?? "",
      written,
      draft: written,
      broken: fields["valid"] === true ? [] : parseIssues(fields["issues"]),
      syntax: undefined,
      check: undefined,
      told,
      error: undefined,
    });
  };

  const check = async (): Promise<void> => {
    const isLatest = ofCheck();
    const { draft } = state.value;
    const value = parse(draft);
    if ("syntax" in value) return set({ syntax: value.syntax, check: undefined });
    if (!isReady()) return set({ syntax: undefined, check: undefined, error: notConnected });
    const reply = await request("config.check", { set: [{ path: [], value: value.value }] });
    if (!isLatest() || state.value.draft !== draft) return;
    if (!reply.ok) return set({ syntax: undefined, check: undefined, error: reply.error.message });
    set({ syntax: undefined, check: parseCheck(reply.payload), error: undefined });
  };

  const checkSoon = (delayMs: number): void => {
    cancel();
    ofCheck();
    if (isEdited(state.value)) cancel = timers.after(delayMs, () => void check());
  };

  const apply = async (): Promise<void> => {
    const { draft, check: checked, isApplying } = state.value;
    const value = parse(draft);
    if (isApplying || checked?.valid !== true || "syntax" in value) return;
    set({ isApplying: true, error: undefined });
    const force = checked.guarded === undefined ? {} : { force: true };
    const edits = { set: [{ path: [], value: value.value }], baseHash: checked.hash, ...force };
    const reply = await request("config.patch", edits);
    set({ isApplying: false });
    if (reply.ok) return read(describeApplied(reply.payload));
    set({ error: `The change was not applied: ${reply.error.message}` });
    // Somebody else was faster, or what it refers to has changed.
    await check();
  };

  return {
    state,
    read: () => void read(),
    look() {
      if (!isEdited(state.value)) void read(state.value.told);
      else if (state.value.check === undefined) checkSoon(0);
    },
    changed() {
      if (isEdited(state.value)) checkSoon(0);
      else if (!state.value.isApplying) void read(state.value.told);
    },
    write(draft) {
      set({ draft, check: undefined, told: undefined, syntax: undefined, error: undefined });
      checkSoon(checkDelayMs);
    },
    apply: () => void apply(),
    lookUp(path) {
      const isLatest = ofKey();
      void request("config.schema.lookup", { path }).then((reply) => {
        if (!isLatest()) return;
        if (reply.ok) set({ key: parseKey(reply.payload), keyError: undefined });
        else set({ keyError: reply.error.message });
      });
    },
  };
}

function parse(draft: string): { readonly value: unknown } | { readonly syntax: string } {
  try {
    return { value: JSON.parse(draft) };
  } catch (error) {
    return { syntax: error instanceof Error ? error.message : String(error) };
  }
}

function parseIssues(value: unknown): readonly ConfigIssue[] {
  return list(value).map((one) => {
    const { path, message, remedy } = fieldsOf(one);
    const todo = text(remedy);
    const said = text(message) ?? "is not valid";
    return { path: text(path) ?? "(root)", message: todo === undefined ? said : `${said} → ${todo}` };
  });
}

/** The answer of `config.check`. */
export function parseCheck(payload: unknown): ConfigCheck {
  const fields = fieldsOf(payload);
  const guarded = text(fields["guarded"]);
  return {
    hash: text(fields["hash"]) ?? "",
    valid: fields["valid"] === true,
    issues: parseIssues(fields["issues"]),
    changes: parseChanges(fields["changes"]),
    moreChanges: count(fields["moreChanges"]),
    effects: effectsOf(fields),
    ...(guarded === undefined ? {} : { guarded }),
  };
}

function parseChanges(value: unknown): readonly ConfigChange[] {
  return list(value).map((one) => {
    const row = fieldsOf(one);
    const [before, after] = [text(row["before"]), text(row["after"])];
    return {
      path: text(row["path"]) ?? "(root)",
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      isHidden: row["isHidden"] === true,
    };
  });
}

function effectsOf(fields: Fields): readonly string[] {
  const plan = fieldsOf(fields["plan"]);
  const agents = fieldsOf(plan["agents"]);
  return [
    ...line("Agents that begin", agents["added"]),
    ...line("Agents that end, when their work is done", agents["removed"]),
    ...line("Agents that change", agents["changed"]),
    ...line("Settings that change", plan["sections"]),
    ...list(plan["restart"]).map((value) => {
      const { key, why } = fieldsOf(value);
      return `The gateway restarts for ${text(key) ?? "it"}: ${text(why) ?? ""}`;
    }),
    ...(fields["commentsLost"] === true ? ["Comments of the file are lost."] : []),
    ...texts(fields["warnings"]),
    ...line("Not active in this version", fields["notActive"]),
  ];
}

function line(words: string, names: unknown): readonly string[] {
  const known = texts(names);
  return known.length === 0 ? [] : [`${words}: ${known.join(", ")}`];
}

/** What came of a write, as the gateway answers it. */
export function describeApplied(payload: unknown): string {
  const { status, restart } = fieldsOf(payload);
  const keys = list(restart).flatMap((row) => text(fieldsOf(row)["key"]) ?? []);
  if (status === "restarting") return `Written. The gateway restarts for ${keys.join(", ")}.`;
  if (status === "off") return "Written. It counts with the next start (gateway.reload.mode: off).";
  if (status === "unchanged") return "The file says so already.";
  return keys.length === 0 ? "Written and in force." : `Written and in force; after a restart also ${keys.join(", ")}.`;
}

/** The answer of `config.schema.lookup`. */
function parseKey(payload: unknown): KeyFacts {
  const fields = fieldsOf(payload);
  const later = text(fields["later"]);
  return {
    path: text(fields["path"]) ?? "",
    text: text(fields["text"]) ?? "",
    type: text(fields["type"]) ?? "any",
    choices: texts(fields["choices"]),
    ...("default" in fields ? { fallback: JSON.stringify(fields["default"]) } : {}),
    ...(later === undefined ? {} : { later }),
    children: texts(fields["children"]),
  };
}

/** The key below another one, as it is looked up: `agents` and `list` are `agents.list`, and then `[]`. */
export function keyBelow(path: string, child: string): string {
  if (child === "[]") return `${path}[]`;
  return path === "" ? child : `${path}.${child}`;
}
