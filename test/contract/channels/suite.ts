/** The contract of channels (`runtime/testing/channel-contract.ts`) in this repository's test runner. */
import { afterEach, describe, expect, test } from "vitest";
import { makeChannelContract } from "../../../runtime/testing/channel-contract.ts";
import { patienceMs } from "../../support/eventually.ts";

export type { ChannelRig, OpenChannel, Platform } from "../../../runtime/testing/channel-port.ts";

export const { describeChannel, openChannel } = makeChannelContract({ afterEach, describe, expect, test, patienceMs });
