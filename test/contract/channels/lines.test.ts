/** The channel that `docs/guides/write-a-channel.md` writes, against its server: by the contract as its author runs it, and beside it. */
import { expect, test } from "vitest";
import type { LinesSettings } from "../../../examples/lines/index.ts";
import { makeLinesRig } from "../../../examples/lines/rig.ts";
import { loadChannel } from "../../../runtime/testing/load-channel.ts";
import { eventually } from "../../support/eventually.ts";
import { openChannel } from "./suite.ts";

await import("../../../examples/lines/lines.test.ts");

test("a token that the server does not take is not tried again, and its remedy names the key", async () => {
  const lines = await loadChannel<LinesSettings>("examples/lines/index.ts");
  const { states } = await openChannel(makeLinesRig(lines, "wrong"), undefined, false);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({
    refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL", remedy: "set its token in channels.modules.lines" },
  });
});

test.each([
  ["examples/none/index.ts", /channel\.json: there is no such file/],
  ["examples/lines/inbound.ts", /inbound\.ts has no channel as its default export/],
])("a channel that cannot be loaded is refused with the reason: %s", async (file, reason) => {
  await expect(loadChannel(file)).rejects.toMatchObject({
    code: "CLOISTER_MODULE_INVALID",
    message: expect.stringMatching(reason),
  });
});
