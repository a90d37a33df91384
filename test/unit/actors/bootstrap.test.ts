import { describe, expect, it } from "vitest";
import {
  bootstrapRules,
  dailyNotes,
  localDate,
  makeBootstrap,
  type ReadBootstrap,
} from "../../../actors/assistant/bootstrap.ts";
import { cutMiddle } from "../../../actors/assistant/cut-text.ts";
import { kindOfSession, type SessionKind } from "../../../actors/assistant/session-kind.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { memoryWorkspace } from "../../support/assistant.ts";

const readBootstrap: ReadBootstrap = (...asked) => makeBootstrap()(...asked);
const bounds = { fileCharsMax: 20_000, totalCharsMax: 60_000 };
const everyFile = Object.fromEntries(
  ["AGENTS", "SOUL", "IDENTITY", "USER", "TOOLS", "BOOTSTRAP", "MEMORY", "HEARTBEAT", "BOOT", "OTHER"].map((name) => [
    `${name}.md`,
    `text of ${name}`,
  ]),
);

describe("what a session is shown of the workspace", () => {
  it.each<[SessionKind, string]>([
    ["main", "AGENTS SOUL IDENTITY USER TOOLS BOOTSTRAP MEMORY"],
    ["direct", "AGENTS SOUL IDENTITY USER TOOLS BOOTSTRAP"],
    ["group", "AGENTS SOUL IDENTITY USER TOOLS"],
    ["subagent", "AGENTS TOOLS"],
  ])("%s: %s", async (kind, names) => {
    const files = await readBootstrap(memoryWorkspace(everyFile), kind, bounds, 0);
    expect(files.map(({ name }) => name.replace(".md", "")).join(" ")).toBe(names);
    expect(
      files.every(({ status, name, text }) => status === "shown" && text === `text of ${name.replace(".md", "")}`),
    ).toBe(true);
  });

  it.each([
    ["agent:a:main", "main"],
    ["agent:a:webhook:direct:ana", "direct"],
    ["agent:a:direct:ana", "direct"],
    ["agent:a:irc:group:x", "group"],
    ["agent:a:slack:channel:c1:thread:7", "group"],
    ["agent:a:main:thread:7", "direct"],
    ["agent:a:subagent:1234", "subagent"],
    ["agent:a:cron:job:run:1", "direct"],
  ])("the session %s is of the kind %s", (key, kind) => {
    expect(kindOfSession(key, "agent:a:main")).toBe(kind);
  });

  it("says that a required file is missing, and nothing of the others", async () => {
    const files = await readBootstrap(memoryWorkspace({}), "main", bounds, 0);
    expect(files).toEqual(
      bootstrapRules.filter(({ isRequired }) => isRequired).map(({ name }) => ({ name, status: "missing", text: "" })),
    );
  });

  it("leaves out blank files, and does not read a link that leaves the workspace", async () => {
    const files = await readBootstrap(
      memoryWorkspace({ "AGENTS.md": " \n\t\n", "SOUL.md": "->/etc/passwd", "IDENTITY.md": "Me." }),
      "main",
      bounds,
      0,
    );
    expect(files).toEqual([
      { name: "SOUL.md", status: "outside", text: "" },
      { name: "IDENTITY.md", status: "shown", text: "Me." },
    ]);
  });

  it("shows no file that is no text, and says so", async () => {
    const files = await readBootstrap(
      memoryWorkspace({ ...everyFile, "SOUL.md": "\u0089PNG\r\n\0\0" }),
      "group",
      bounds,
      0,
    );
    expect(files.filter(({ status }) => status !== "shown")).toEqual([{ name: "SOUL.md", status: "bytes", text: "" }]);
  });

  it("cuts a file in its middle at its bound, and all of them at theirs", async () => {
    const long = `HEAD${"a".repeat(30_000)}TAIL`;
    const files = await readBootstrap(
      memoryWorkspace({ "AGENTS.md": long, "SOUL.md": long, "IDENTITY.md": long, "TOOLS.md": long, "USER.md": long }),
      "main",
      bounds,
      0,
    );
    const sizes = Object.fromEntries(files.map(({ name, text }) => [name, text.length]));
    expect(sizes["AGENTS.md"]).toBeGreaterThan(19_990);
    for (const { name, text, status } of files.slice(0, 3)) {
      expect(text.length).toBeLessThanOrEqual(20_000);
      expect(text).toMatch(new RegExp(`^HEADa+\\n\\[… \\d+ characters of ${name} are left out …\\]\\na+TAIL$`));
      expect(status).toBe("cut");
    }
    expect(files.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(60_000);
    expect(sizes["TOOLS.md"]).toBeLessThan(100);
  });

  it("never shows more than 4,000 characters about the user", async () => {
    const [file] = await readBootstrap(memoryWorkspace({ "USER.md": "u".repeat(9_000) }), "direct", bounds, 0).then(
      (files) => files.filter(({ name }) => name === "USER.md"),
    );
    expect(file?.text.length).toBeLessThanOrEqual(4_000);
  });

  it("reads a file once, and again when its stamp says that it is another one", async () => {
    const read = makeBootstrap();
    const reads: string[] = [];
    const files: Record<string, string> = { "AGENTS.md": "first", "SOUL.md": "->/etc/passwd", "TOOLS.md": "tools" };
    const counted = {
      stamps: (paths: readonly string[]) => memoryWorkspace(files).stamps(paths),
      read: (path: string) => {
        reads.push(path);
        return memoryWorkspace(files).read(path);
      },
    };
    const shown = async (): Promise<string> =>
      (await read(counted, "subagent", bounds, limits.fileSettledMs + 1)).map(({ text }) => text).join();
    expect(await shown()).toBe("first,tools");
    expect(await shown()).toBe("first,tools");
    expect(reads).toEqual(["AGENTS.md", "TOOLS.md"]);
    const again = await read(counted, "subagent", bounds, limits.fileSettledMs + 1);
    expect(await read(counted, "subagent", { ...bounds }, limits.fileSettledMs + 1)).toBe(again);
    const narrow = { ...bounds, fileCharsMax: 2 };
    expect((await read(counted, "subagent", narrow, limits.fileSettledMs + 1)).map(({ text }) => text.length)).toEqual([
      2, 2,
    ]);
    files["AGENTS.md"] = "second";
    expect(await shown()).toBe("second,tools");
    delete files["TOOLS.md"];
    expect(await shown()).toBe("second");
    expect(reads).toEqual(["AGENTS.md", "TOOLS.md", "AGENTS.md"]);
  });

  it("reads a file again that could not be read, as it was when it stands as it did", async () => {
    const read = makeBootstrap();
    const files = memoryWorkspace({ "AGENTS.md": "rules" });
    let isBroken = true;
    const workspace = {
      stamps: (paths: readonly string[]) => files.stamps(paths),
      read: (path: string) =>
        isBroken ? Promise.reject(Object.assign(new Error("EMFILE"), { code: "EMFILE" })) : files.read(path),
    };
    const shown = async () =>
      (await read(workspace, "subagent", bounds, limits.fileSettledMs + 1)).filter(({ name }) => name === "AGENTS.md");
    expect(await shown()).not.toEqual([{ name: "AGENTS.md", status: "shown", text: "rules" }]);
    isBroken = false;
    expect(await shown()).toEqual([{ name: "AGENTS.md", status: "shown", text: "rules" }]);
  });

  it.each([
    ["changed a moment ago", { changedMs: 5_000, bytes: 5 }, "AGENTS.md"],
    ["is too long to be kept", { changedMs: 0, bytes: limits.bootstrapKeptBytesMax + 1 }, "AGENTS.md"],
  ])("reads a file that %s in each turn", async (_what, facts, name) => {
    const read = makeBootstrap();
    let reads = 0;
    const workspace = {
      stamps: async (paths: readonly string[]) =>
        paths.map((path) => (path === name ? { value: "same", ...facts } : "missing")),
      read: () => Promise.resolve(`text ${++reads}`),
    };
    for (const text of ["text 1", "text 2"])
      expect(await read(workspace, "subagent", bounds, 6_000)).toEqual([{ name, status: "shown", text }]);
  });

  it("adds the notes of two days where they are asked for", async () => {
    const notes = dailyNotes(Date.UTC(2026, 2, 1, 3), "America/New_York");
    expect(notes).toEqual(["memory/2026-02-28.md", "memory/2026-02-27.md"]);
    const files = await readBootstrap(memoryWorkspace({ "memory/2026-02-28.md": "Rain." }), "main", bounds, 0, {
      notes,
    });
    expect(files.at(-1)).toEqual({ name: "memory/2026-02-28.md", status: "shown", text: "Rain." });
  });
});

it.each(["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"])(
  "the date in %s is that of the moment, also right before and after midnight",
  (timeZone) => {
    const format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
    // Two days around a change to summer time.
    for (let ms = Date.UTC(2026, 2, 28); ms < Date.UTC(2026, 2, 30); ms += 5 * 60_000)
      for (const at of [ms, ms - 1]) expect(localDate(at, timeZone)).toBe(format.format(at));
  },
);

describe("a text that is cut", () => {
  it.each([0, 1, 5, 20, 21, 22, 40, 99, 100, 101])(
    "at %d characters has at most so many, and no half of a character",
    (max) => {
      const text = "😀".repeat(50);
      const cut = cutMiddle(text, max, (left) => `[${left} left out]`);
      expect(cut.length).toBeLessThanOrEqual(Math.max(max, 0));
      expect(cut.isWellFormed()).toBe(true);
      if (max >= 100) expect(cut).toBe(text);
    },
  );

  it("says how many characters are gone", () => {
    const cut = cutMiddle("x".repeat(1_000), 100, (left) => `<${left}>`);
    const [, count = ""] = /<(\d+)>/.exec(cut) ?? [];
    expect(cut.length - count.length - 2 + Number(count)).toBe(1_000);
  });
});
