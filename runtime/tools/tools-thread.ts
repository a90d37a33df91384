/** Entry of the tools' thread. It starts with the first call of a tool of its own; most gateways without models never start it. */
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeToolHost } from "./host.ts";

serveTrustedThread(() => Promise.resolve(makeToolHost()));
