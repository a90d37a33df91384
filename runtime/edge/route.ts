/**
 * One HTTP route: a path that was matched, the methods that it answers, who may call it, and what it does.
 *
 * Who may call is part of the route and cannot be left out: `open`, or a guard that sees the matched route and not the text
 * of the path. A router that decodes a path more often than its filter does is then no way in.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Refusal } from "../kernel/errors.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The path as it was sent, without the query; it is never decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Under which failed attempts of the other end are counted. */
  readonly addressKey: string;
}

/** Undefined lets the request pass. Called before a byte of the body is read. */
export type Guard = (exchange: Exchange) => Refusal | undefined;

export interface Route {
  readonly methods: readonly ("GET" | "HEAD" | "POST")[];
  readonly access: "open" | Guard;
  /** The form of its errors; absent: `{ok:false, error:{…}}`. */
  readonly refusalBody?: (refusal: Refusal) => object;
  /** A coded error becomes the answer of its code; anything else becomes `CLOISTER_INTERNAL` and is logged. */
  handle(exchange: Exchange): Promise<void>;
}

/** Finds the route of a path; undefined when it has none. */
export type RouteFinder = (path: string) => Route | undefined;

export const noSuchPath = (path: string, hint: string, remedy: string): Refusal => ({
  code: "CLOISTER_EDGE_NOT_FOUND",
  message: `there is nothing at ${path.slice(0, 200)}: ${hint}`,
  remedy,
});
