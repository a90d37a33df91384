/** What a main session is told of: that another session of its agent was made. Source: behaviour §1.5 (`session.notifyOnCreate`). */
export interface SessionNotice {
  /** In the order in which they were made; a turn that was told of one was told of all before it. */
  readonly number: number;
  readonly sessionKey: string;
  readonly channel: string;
  readonly label?: string;
  readonly atMs: number;
  /** How many before this one are told of by their number alone. */
  readonly earlier?: number;
}
