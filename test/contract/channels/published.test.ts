/**
 * Channels as they were published, by the version of the API that they were written for. A change that one of them does not survive is a new
 * version: the samples stay as they are (`docs/adr/0088-channels-of-ones-own.md`).
 */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { channelApi } from "../../../channels/own.ts";
import { loadChannel } from "../../../runtime/testing/load-channel.ts";
import { makeLinesRig } from "../../../examples/lines/rig.ts";
import type { LinesSettings } from "../../../examples/lines/index.ts";
import { describeChannel } from "./suite.ts";

const published = "test/fixtures/published/channels";
const versions = readdirSync(published);

test("the samples are of this version of the API, and of those before", () => {
  expect(versions.toSorted()).toEqual(Array.from({ length: channelApi }, (_, at) => String(at + 1)));
});

describe.each(versions)("A15.2: published for version %s", async (version) => {
  describeChannel(makeLinesRig(await loadChannel<LinesSettings>(`${published}/${version}/lines/index.ts`)));
});
