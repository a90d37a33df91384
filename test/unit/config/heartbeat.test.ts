import { describe, expect, it } from "vitest";
import { allowedModels } from "../../../runtime/broker/allowed-models.ts";
import { modelSettingsOf } from "../../../runtime/supervisor/model-settings.ts";
import { loadText } from "./load-text.ts";

const rulesOf = async (defaults: object | undefined, ...entries: readonly object[]) => {
  const list = entries.map((entry, at) => ({ id: `a${at}`, ...entry }));
  const agents = {
    defaults: { userTimezone: "UTC", ...(defaults === undefined ? {} : { heartbeat: defaults }) },
    list,
  };
  return (await loadText({ agents })).resolved.agents.map(({ heartbeat }) => heartbeat);
};

describe("heartbeats", () => {
  it("are there where they are written, and nowhere else", async () => {
    expect(await rulesOf(undefined, {})).toEqual([undefined]);
    expect(await rulesOf({}, {}, {})).toMatchObject([{ everyMs: 1_800_000 }, { everyMs: 1_800_000 }]);
    expect(await rulesOf({ every: "1h" }, {}, { heartbeat: {} })).toMatchObject([undefined, { everyMs: 3_600_000 }]);
    expect(await rulesOf({ every: "1h" }, { heartbeat: { every: "0m" } })).toEqual([undefined]);
  });

  it("are what the agent says, over what is said for all", async () => {
    const activeHours = { start: "08:30", end: "24:00" };
    const all = { target: "last", activeHours, ackMaxChars: 0, lightContext: true };
    expect(await rulesOf(all, { heartbeat: { target: "webhook", to: "direct:ana", prompt: "look" } })).toEqual([
      {
        everyMs: 1_800_000,
        isUsual: true,
        hours: { startMinute: 510, endMinute: 1_440, timezone: "UTC" },
        target: "webhook",
        to: "direct:ana",
        prompt: "look",
        ackCharsMax: 0,
        isLight: true,
        isIsolated: false,
        sparesDirect: false,
      },
    ]);
    const [written] = await rulesOf({ every: "30m" }, {});
    expect(written).toMatchObject({ everyMs: 1_800_000 });
    expect(written).not.toHaveProperty("isUsual");
  });

  it("may have another model, which the agent may then ask, another session, and less time", async () => {
    const heartbeat = { model: "p/small", isolatedSession: true, timeoutSeconds: 60, directPolicy: "block" };
    const list = [{ id: "main", model: "p/big", heartbeat }];
    const { resolved } = await loadText({ agents: { list } });
    expect(resolved.agents[0]?.heartbeat).toMatchObject({
      model: "p/small",
      isIsolated: true,
      timeoutMs: 60_000,
      sparesDirect: true,
    });
    expect(await rulesOf({ session: "main" }, {})).toEqual([expect.not.objectContaining({ session: "main" })]);
    expect(await rulesOf({ session: "telegram:direct:1" }, {})).toMatchObject([{ session: "telegram:direct:1" }]);
    expect(allowedModels(modelSettingsOf(resolved), "main", "p/small")).toEqual(["p/small"]);
    expect(() => allowedModels(modelSettingsOf(resolved), "main", "p/other")).toThrow("may not use the model");
  });

  it.each([
    ["every", { every: "soon" }],
    ["activeHours.start", { activeHours: { start: "8:30", end: "20:00" } }],
    ["activeHours.end", { activeHours: { start: "08:00", end: "08:00" } }],
    ["activeHours.timezone", { activeHours: { start: "08:00", end: "09:00", timezone: "Mars/Base" } }],
    ["to", { target: "telegram" }],
    ["model", { model: "two words" }],
    ["timeoutSeconds", { timeoutSeconds: 3_601 }],
    ["directPolicy", { directPolicy: "never" }],
    ["prompt", { prompt: " " }],
  ])("are refused by the key %s", async (key, heartbeat) => {
    const failure: unknown = await rulesOf(heartbeat, {}).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "CLOISTER_CONFIG_INVALID",
      issues: [{ path: `agents.defaults.heartbeat.${key}` }],
    });
  });
});
