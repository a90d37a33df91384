/** The other side of `piscina.ts`. */
export { answer as default } from "../inside/mortal.ts";
