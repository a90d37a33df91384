/** The other side of `threads.ts`. */
import { expose } from "threads/worker";
import { answer } from "../inside/mortal.ts";

expose(answer);
