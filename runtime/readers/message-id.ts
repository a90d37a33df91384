/** The name of a message in histories: the transcript's id and its number there. Neither changes when the session goes on or begins anew. */

export const formatMessageId = (sessionId: string, seq: number): string => `${sessionId}:${seq}`;

/** Undefined: it is none. */
export function parseMessageId(text: string): { readonly sessionId: string; readonly seq: number } | undefined {
  const [, sessionId = "", seq] = /^(.{1,200}):(\d{1,12})$/u.exec(text) ?? [];
  return seq === undefined ? undefined : { sessionId, seq: Number(seq) };
}
