/** The levels of isolation. A suite of what a cell does or may not do runs for each. */
export const levels = ["thread", "process"] as const;
export type Level = (typeof levels)[number];
