/** The other side of `comlink.ts`. */
import { parentPort } from "node:worker_threads";
import { expose } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { answer } from "../inside/mortal.ts";

if (parentPort === null) throw new Error("Starting the worker of comlink: found the main thread, wanted a worker.");
expose(answer, nodeEndpoint(parentPort));
