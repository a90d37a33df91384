/** The floor under `stream`: a bare worker that posts each piece by itself, as one would write it by hand. Nothing is checked or bounded. */
import { parentPort } from "node:worker_threads";
import { pour, type PourOrder } from "./pouring.ts";

if (parentPort === null) throw new Error("Starting to pour: found the main thread, wanted a worker of a benchmark.");
const port = parentPort;
port.on("message", (order: PourOrder) => void pour(order, (piece) => port.postMessage(piece)));
