/** The form of the functions that answer clients: parameters as the edge has checked them, by the table of methods. */
import type { z } from "zod";
import type { methods } from "../edge/methods.ts";
import type { Client } from "../edge/port.ts";

/** The edge answers these itself. */
type EdgeMethod = "system-presence";

export type MethodName = Exclude<keyof typeof methods, EdgeMethod>;

export type Params<M extends keyof typeof methods> = z.infer<(typeof methods)[M]["params"]>;

export type Handlers<Names extends MethodName = MethodName> = {
  readonly [M in Names]: (params: Params<M>, client: Client) => unknown;
};
