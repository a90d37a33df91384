/** Where the gateway of a state directory listens for the operator of its machine. */
import path from "node:path";

export const localSocketFile = (stateDir: string): string => path.join(stateDir, "run", "operator.sock");
