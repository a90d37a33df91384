/** Entry of a thread that answers, never answers, or dies, for the tests of trusted threads. */
import { serveTrustedThread } from "../../runtime/thread/trusted-thread.ts";

interface Other {
  double(n: number): Promise<number>;
}

serveTrustedThread<{ readonly plus: number }, Other>(async ({ plus }, other) => ({
  sum: async (n: number) => (await other.double(n)) + plus,
  environment: async () => Object.keys(process.env),
  never: () => new Promise(() => undefined),
  die: async () => {
    setImmediate(() => {
      throw new Error("dies as asked");
    });
    await new Promise(() => undefined);
  },
}));
