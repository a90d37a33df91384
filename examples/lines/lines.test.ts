import { loadChannel, makeChannelContract } from "cloister/testing";
import { afterEach, describe, expect, test } from "vitest";
import type { LinesSettings } from "./index.ts";
import { makeLinesRig } from "./rig.ts";

const { describeChannel } = makeChannelContract({ afterEach, describe, expect, test });

describeChannel(makeLinesRig(await loadChannel<LinesSettings>(new URL("./index.ts", import.meta.url))));
