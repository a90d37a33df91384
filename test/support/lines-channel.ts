/** The channel of `docs/guides/write-a-channel.md` in a rig of the contract suite, from wherever a copy of it is. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { ChannelDefinition } from "../../channels/own.ts";
import type { ChannelModule } from "../../channels/port.ts";
import type { LinesSettings } from "../../examples/lines/index.ts";
import { manifestFileOf, readChannelFile } from "../../runtime/config/own-channels.ts";
import type { ChannelRig } from "../contract/channels/suite.ts";
import { openLinesServer } from "./lines-server.ts";

type Lines = ChannelModule<LinesSettings>;

/** As the gateway puts it together: its module, and the `channel.json` beside it. */
export async function loadLines(relative: string): Promise<Lines> {
  const module = path.resolve(relative);
  const read = readChannelFile("lines", module, { text: await readFile(manifestFileOf(module), "utf8") });
  if ("problem" in read) throw new Error(`Reading ${relative}: ${read.problem}.`);
  const loaded = (await import(pathToFileURL(module).href)) as { readonly default: ChannelDefinition<LinesSettings> };
  return { manifest: read.manifest, open: loaded.default.open };
}

export const makeLinesRig = (module: Lines, token = "SECRET"): ChannelRig<LinesSettings> => ({
  module,
  idsOfMessages: true,
  async open() {
    const server = await openLinesServer();
    return {
      settings: { textChunkLimit: 4_000, host: "127.0.0.1", port: server.port, token },
      platform: {
        say: async (text, { inGroup = false, mentions = false, at } = {}) =>
          server.say(inGroup ? "#room" : "helper", text, mentions, at === undefined ? undefined : `n${at}`),
        person: { peer: { kind: "direct", id: "ana" }, senderId: "ana", senderName: "ana" },
        group: { kind: "group", id: "#room" },
        nowhere: { kind: "direct", id: "#room" },
        arrived: () => server.arrived,
        lose: async () => server.drop(),
        violations: () => server.violations,
        unconfirmed: () => server.unconfirmed(),
        typed: () => undefined,
        close: () => server.close(),
      },
    };
  },
});
