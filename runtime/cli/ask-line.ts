/** What a person types, or a pipe brings, for a command. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { limits } from "../kernel/limits.ts";
import type { Terminal } from "./terminal.ts";

/** One line. `hidden`: it is not shown. */
export async function askLine({ input, err, output }: Terminal, question: string, hidden: boolean): Promise<string> {
  err(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: hidden ? silent : output, terminal: hidden });
  try {
    return (await lines.question("")).trim();
  } finally {
    lines.close();
  }
}

/** All of a pipe, without the line break at its end. Of what is too long for a secret a part that shows it. */
export async function readPipe({ input }: Terminal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const part = Buffer.from(chunk);
    bytes += part.byteLength;
    chunks.push(part);
    // Too long, also without a line break: what is read is refused, and no part of it is kept.
    if (bytes > limits.secretBytesMax + 2) break;
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
