/** The channel that `docs/guides/write-a-channel.md` writes, against its server. */
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { loadLines, makeLinesRig } from "../../support/lines-channel.ts";
import { describeChannel, openChannel } from "./suite.ts";

const lines = await loadLines("examples/lines/index.ts");

describeChannel(makeLinesRig(lines));

test("a token that the server does not take is not tried again, and its remedy names the key", async () => {
  const { states } = await openChannel(makeLinesRig(lines, "wrong"), undefined, false);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({
    refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL", remedy: "set its token in channels.modules.lines" },
  });
});
