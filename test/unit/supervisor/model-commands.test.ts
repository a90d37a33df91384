import { describe, expect, it } from "vitest";
import { makeModelCommands } from "../../../runtime/supervisor/commands/model-commands.ts";
import { type CommandCall, findCommand, runCommand } from "../../../runtime/supervisor/commands/table.ts";
import { makeSessionCare } from "../../../runtime/supervisor/session-care.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import { agentSettings } from "../../support/agent-settings.ts";

async function open(aliases?: Readonly<Record<string, string>>) {
  const store = await openMemoryStore({ stateDir: "/state", agents: [{ agentId: "ada", sessionsDir: "/ada" }] });
  const care = makeSessionCare({
    store,
    cancelChildren: async () => 0,
    forgetState: () => true,
    onSessionChanged: () => undefined,
    mainOf: (agentId) => `agent:${agentId}:main`,
    models: () => ({
      agents: {
        ada: {
          primary: "p/usual",
          fallbacks: ["p/spare"],
          agentDir: "/ada",
          subagents: { primary: "p/small", fallbacks: [] },
        },
      },
      catalogue: ["p/large"],
    }),
    profileNames: async (_agentId, provider) => (provider === "p" ? ["ada:work", "work"] : []),
    nowMs: () => 5,
  });
  const agents = new Map([
    ["ada", { module: "assistant", model: "p/usual", settings: agentSettings("ada", { thinking: "low" }) }],
    ["bob", { module: "echo", model: undefined, settings: agentSettings("bob") }],
    ["cai", { module: "assistant", model: undefined, settings: agentSettings("cai") }],
  ]);
  const commands = makeModelCommands({
    config: {
      channelModels: { telegram: { "7": "p/small" } },
      models: {
        providers: {},
        catalogue: ["p/large"],
        authOrder: {},
        variables: {},
        ...(aliases === undefined ? {} : { aliases }),
      },
    },
    agents,
    store,
    care,
  });
  const call = (agentId: string, isOwner: boolean, peerId = "1"): CommandCall => ({
    agentId,
    sessionKey: `agent:${agentId}:main`,
    channel: "telegram",
    conversation: { channel: "telegram", accountId: "default", peerKind: "direct", peerId },
    isGroup: false,
    isOwner,
    by: "webhook:1",
  });
  const give = async (text: string, agentId = "ada", isOwner = false, peerId?: string) => {
    const found = findCommand(commands, text);
    return found && (await runCommand(found.command, call(agentId, isOwner, peerId), found.rest));
  };
  return { commands, give, replyTo: async (text: string, isOwner?: true) => (await give(text, "ada", isOwner))?.reply };
}

describe("/model, /think and /verbose", () => {
  it("tell the model that the configuration has for the conversation, which a choice goes before", async () => {
    const { give } = await open();
    const reply = async (text: string) => (await give(text, "ada", false, "7"))?.reply;
    expect(await reply("/model")).toBe("Model: p/small, as configured for this conversation; the agent's is p/usual.");
    expect(await reply("/model p/large")).toContain("Model: p/large in this session; configured is p/small.");
    expect(await reply("/model default")).toContain("Model: p/small, as configured for this conversation");
    expect((await give("/model"))?.reply).toBe("Model: p/usual, as configured.");
  });

  it("without a name the command tells the aliases after the model, and with one it does not", async () => {
    const { give, replyTo } = await open({ Big: "p/large", tiny: "p/small" });
    expect(await replyTo("/model")).toBe("Model: p/usual, as configured.\nAliases: Big (p/large), tiny (p/small).");
    expect(await replyTo("/model p/large")).toBe(
      "Model: p/large in this session; configured is p/usual. /model default takes it back.",
    );
    expect(await replyTo("/model")).toMatch(/takes it back\.\nAliases: Big \(p\/large\), tiny \(p\/small\)\.$/);
    expect(await replyTo("/think")).toBe("Thinking: low, as configured.");
    // An agent without a model can choose none.
    expect((await give("/model", "cai"))?.reply).toBe("Model: none, as configured.");
  });

  it("choose for the session, tell what holds, and take it back", async () => {
    const { replyTo } = await open();
    expect(await replyTo("/model")).toBe("Model: p/usual, as configured.");
    for (const model of ["p/large", "p/spare", "p/small", "p/usual"])
      expect(await replyTo(`/model ${model}`)).toContain(`Model: ${model} in this session; configured is p/usual.`);
    expect(await replyTo("/think")).toBe("Thinking: low, as configured.");
    expect(await replyTo("/think HIGH")).toBe("Thinking: high in this session.");
    expect(await replyTo("/model")).toContain("p/usual in this session");
    expect(await replyTo("/think default")).toBe("Thinking: low, as configured.");
    expect(await replyTo("/verbose")).toBe("Verbose: off, as configured.");
    expect(await replyTo("/verbose Full")).toBe("Verbose: full in this session.");
    expect(await replyTo("/verbose default")).toBe("Verbose: off, as configured.");
    expect(await replyTo("/model Default")).toBe("Model: p/usual, as configured.");
  });

  it("names the credential that is tried first, which a model of another name gives up", async () => {
    const { replyTo } = await open();
    expect(await replyTo("/model p/large@ada:work")).toBe(
      "Model: p/large, with the credential ada:work first, in this session; configured is p/usual. /model default takes it back.",
    );
    // Whoever may ask how it stands is not told whose it is.
    expect(await replyTo("/model")).toContain("with a credential that was chosen for it first, in this session");
    expect(await replyTo("/model", true)).toContain("with the credential ada:work first, in this session");
    expect(await replyTo("/model p/small")).toContain("Model: p/small in this session");
    for (const wrong of ["/model other/x@work", "/model p/large@", "/model large"])
      expect(await replyTo(wrong)).toContain("Nothing was changed: the agent ada may not use the model");
    await replyTo("/model p/large@work");
    expect(await replyTo("/model default")).toBe("Model: p/usual, as configured.");
    expect(await replyTo("/model p/large")).toContain("Model: p/large in this session");
  });

  it("with a credential that is not there is refused with those that are, and nothing changes", async () => {
    const { replyTo } = await open();
    await replyTo("/model p/large@work");
    expect(await replyTo("/model p/small@nope")).toBe(
      'Nothing was changed: p has no credential "nope" that ada may use; there are ada:work, work (cloister models status shows them; without @ the model is asked with the first that can be used)',
    );
    expect(await replyTo("/model", true)).toContain("Model: p/large, with the credential work first");
  });

  it("that the agent may not ask is refused with those that it may and the key, and nothing changes", async () => {
    const { replyTo } = await open();
    await replyTo("/model p/large");
    const refused = await replyTo("/model other/x");
    expect(refused).toContain('Nothing was changed: the agent ada may not use the model "other/x"');
    expect(refused).toContain("p/usual, p/spare, p/small, p/large");
    expect(refused).toContain('agents.defaults.models: { "other/x": {} }');
    expect(await replyTo("/model")).toContain("p/large in this session");
  });
});

describe("commands of a conversation with a model", () => {
  it.each([
    ["/compact", "compact", ""],
    ["/Compact  the prices ", "compact", "the prices"],
    [`/compact ${"🦊".repeat(800)}`, "compact", "🦊".repeat(800)],
    ["/context", "context", ""],
  ])("%s goes on to the module as a command", async (text, name, rest) => {
    expect(await (await open()).give(text)).toEqual({
      reply: "",
      message: rest === "" ? `/${name}` : `/${name} ${rest}`,
      signal: { type: "command", name, rest },
    });
  });

  it.each([
    `/compact ${"x".repeat(801)}`,
    `/compact ${"🦊".repeat(801)}`,
    "/model a/b c",
    "/think very",
    "/verbose loud",
    "/context all",
  ])("%s is answered with how it is written", async (text) => {
    expect(await (await open()).give(text)).toEqual({
      reply: expect.stringMatching(/^Nothing was done\. Usage: \//),
    });
  });

  it("of an agent whose module has no conversation are answered, and go nowhere", async () => {
    const { give } = await open();
    for (const text of ["/compact", "/model p/large"])
      expect(await give(text, "bob")).toEqual({ reply: expect.stringContaining("runs the module echo") });
  });

  it.each([
    ["/compact", "", "operator.admin"],
    ["/model", "a/b", "operator.admin"],
    ["/think", "low", "operator.admin"],
    ["/verbose", "on", "operator.admin"],
    ["/model", "", undefined],
    ["/context", "", undefined],
  ])("%s %s needs %s of a client", async (name, rest, scope) => {
    const { commands } = await open();
    expect(commands.find((one) => one.name === name)?.needs?.(rest)).toBe(scope);
  });
});
