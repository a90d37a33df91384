/** The machine, as a model is told of it: it is the same as long as the process lives. */
import os from "node:os";

export const localMachine = (): string => `${os.hostname()} (${os.platform()} ${os.arch()})`;
