/** What is a command, whose commands count, and what `/queue` understands. */
import { describe, expect, it } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import { describeQueue, parseQueue } from "../../../runtime/supervisor/commands/queue-command.ts";
import { isOwner, mayCommand } from "../../../runtime/supervisor/commands/senders.ts";
import {
  type ChatCommand,
  findCommand,
  takesAnything,
  takesNothing,
} from "../../../runtime/supervisor/commands/table.ts";
import { makeQueues } from "../../../runtime/supervisor/queues.ts";

const command = (name: string, takes: ChatCommand["takes"]): ChatCommand => ({
  name,
  usage: name,
  summary: "",
  takes,
  run: async () => ({ reply: "" }),
});

describe("a command", () => {
  const table = [command("/stop", takesNothing), command("/new", takesAnything)];
  it.each([
    ["/stop", "/stop", ""],
    ["  /STOP\n", "/stop", ""],
    ["/new", "/new", ""],
    ["/New  two\nlines ", "/new", "two\nlines"],
    ["/stop all", "/stop", "all"],
  ])("is %j", (text, name, rest) => {
    expect(findCommand(table, text)).toMatchObject({ command: { name }, rest });
  });

  it.each(["", "stop", "/", "/ stop", "/stopp", "/news", "say /stop", "//stop", "/stop/new"])("is not %j", (text) => {
    expect(findCommand(table, text)).toBeUndefined();
  });
});

describe("whose commands count", () => {
  type Commands = ResolvedConfig["commands"];
  const base: Commands = { text: true, native: true, owners: [], allowFrom: undefined, resetTriggers: [] };
  const from = (id: string, kind: "direct" | "group" | "channel", channel = "webhook") => ({
    channel,
    peer: { kind, id: "p" },
    sender: { id },
  });
  it.each<[string, Partial<Commands>, ReturnType<typeof from>, boolean]>([
    ["a direct chat", {}, from("ana", "direct"), true],
    ["a group", {}, from("ana", "group"), false],
    ["a room", {}, from("ana", "channel"), false],
    ["commands are off", { text: false, native: true, owners: ["ana"] }, from("ana", "direct"), false],
    ["an owner in a group", { owners: ["ana"] }, from("ana", "group"), true],
    ["an owner of this channel", { owners: ["webhook:ana"] }, from("ana", "group"), true],
    ["an owner of another channel", { owners: ["telegram:ana"] }, from("ana", "group"), false],
    ["named", { allowFrom: { webhook: ["ana"] } }, from("ana", "group"), true],
    ["not named, in a direct chat", { allowFrom: { webhook: ["ana"] } }, from("bob", "direct"), false],
    ["named for every channel", { allowFrom: { "*": ["ana"] } }, from("ana", "group"), true],
    ["everybody of the channel", { allowFrom: { webhook: ["*"] } }, from("bob", "group"), true],
    ["another channel is named", { allowFrom: { telegram: ["*"] } }, from("bob", "direct"), false],
    ["nobody is named", { allowFrom: {} }, from("ana", "direct"), false],
  ])("%s", (_what, changes, event, expected) => {
    expect(mayCommand({ ...base, ...changes }, event)).toBe(expected);
  });

  it("only owners are owners", () => {
    const commands = { ...base, owners: ["boss"], allowFrom: { "*": ["ana"] } };
    expect(isOwner(commands, from("boss", "direct"))).toBe(true);
    expect(isOwner(commands, from("ana", "direct"))).toBe(false);
  });
});

describe("/queue", () => {
  it.each([
    ["default", undefined],
    ["followup", { mode: "followup" }],
    ["queue", { mode: "followup" }],
    ["steer-backlog", { mode: "steer" }],
    ["Collect debounce:1s CAP:25 drop:old", { mode: "collect", debounceMs: 1_000, cap: 25, drop: "old" }],
    ["debounce:250", { debounceMs: 250 }],
    ["debounce:250ms", { debounceMs: 250 }],
    ["debounce:2m drop:new", { debounceMs: 120_000, drop: "new" }],
  ])("understands %j", (text, change) => {
    expect(parseQueue(text)).toEqual(change);
  });

  it.each([
    ["sideways", 'Found "sideways".'],
    ["collect default", 'Found "default".'],
    ["debounce:11m", 'debounce: found "11m", wanted a time up to 600s, like 500ms or 1s.'],
    ["debounce:soon", 'debounce: found "soon", wanted a time up to 600s, like 500ms or 1s.'],
    ["cap:0", 'cap: found "0", wanted a number from 1 to 2000.'],
    ["cap:2001", 'cap: found "2001", wanted a number from 1 to 2000.'],
    ["drop:some", 'drop: found "some", wanted old, new, summarize.'],
    ["constructor", 'Found "constructor".'],
  ])("says what is wrong with %j", (text, message) => {
    expect(parseQueue(text)).toBe(message);
  });
});

describe("which queue counts", () => {
  const policy = { mode: "followup", debounceMs: 500, cap: 20, drop: "old" } as const;
  const queue = { policy, byChannel: { webhook: { ...policy, mode: "collect" } } } as const;
  const store = { keepQueue: async () => undefined, dropQueue: async () => undefined };
  const header = (sourceChannel: string) =>
    ({ sessionKey: "agent:main:main", provenance: { kind: "external_user", sourceChannel } }) as const;

  it("nothing is set: none for the kernel, and steer for whoever asks", () => {
    const queues = makeQueues({ queue: undefined }, store, []);
    expect(queues.of(header("webhook"))).toBeUndefined();
    expect(queues.stateOf("agent:main:main", "webhook")).toMatchObject({ policy: { mode: "steer" }, from: "default" });
  });

  it("the session's word, then the channel's, then the configuration's", async () => {
    const queues = makeQueues({ queue }, store, []);
    expect(queues.of(header("webchat"))).toEqual(policy);
    expect(queues.of(header("webhook"))).toEqual({ ...policy, mode: "collect" });
    await queues.set("agent:main:main", { mode: "interrupt" });
    await queues.set("agent:main:main", { cap: 3 });
    expect(queues.of(header("webhook"))).toEqual({ ...policy, mode: "interrupt", cap: 3 });
    expect(describeQueue(queues.stateOf("agent:main:main", "webhook"))).toBe(
      "interrupt, cap 3, drop old (set for this session)",
    );
    await queues.clear("agent:main:main");
    expect(queues.of(header("webhook"))?.mode).toBe("collect");
  });

  it("what could not be kept does not count", async () => {
    const broken = { ...store, keepQueue: () => Promise.reject(new Error("disk")) };
    const queues = makeQueues({ queue: undefined }, broken, []);
    await expect(queues.set("agent:main:main", { mode: "collect" })).rejects.toThrow("disk");
    expect(queues.of(header("webhook"))).toBeUndefined();
  });
});
