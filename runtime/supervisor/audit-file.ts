/**
 * Where the audit trail's logs end, kept beside the store and not in it: an older copy of the store is told from the log by it.
 *
 * `<state directory>/audit.anchor`: one line of JSON, `AnchorFile`; replaced as a whole. Sealed with the key of the trail, so that a
 * change of it is seen; one that names another key is a fault unless the operator replaced the key. Whoever can put back an older store can do the same with this
 * file, which is why the log tells the ends too (docs/adr/0031-audit-chain.md).
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { writeAtomically } from "../config/index.ts";
import { type AuditLog, auditLogs } from "../kernel/audit-types.ts";
import { keyIdOf, sealed } from "../store/audit-chain.ts";
import type { AuditFault } from "../store/audit-rows.ts";

/** How far a log reached when somebody looked. */
export interface AuditMark {
  readonly log: AuditLog;
  readonly n: number;
  readonly hash: string;
}

interface AnchorFile {
  readonly atMs: number;
  readonly marks: readonly AuditMark[];
  readonly key: string;
  readonly seal: string;
}

export interface KeptMarks {
  readonly marks: readonly AuditMark[];
  /** The file is not what was written, or that cannot be known. */
  readonly fault?: AuditFault;
}

const placeOf = (stateDir: string): string => path.join(stateDir, "audit.anchor");

export async function writeMarks(
  stateDir: string,
  key: string,
  marks: readonly AuditMark[],
  atMs: number,
): Promise<void> {
  const file = placeOf(stateDir);
  const body = { atMs, marks, key: keyIdOf(key) };
  await writeAtomically(file, `${JSON.stringify({ ...body, seal: sealOf(key, body) } satisfies AnchorFile)}\n`);
}

/** None when there is no file yet. Rejects when it cannot be read. */
export async function readMarks(stateDir: string, key: string): Promise<KeptMarks> {
  const file = placeOf(stateDir);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return { marks: [] };
  const found = parse(text);
  const fault = (detail: string): KeptMarks => ({
    marks: [],
    fault: { what: "anchor", n: 0, detail: `${file} ${detail}` },
  });
  if (found === undefined) return fault("does not hold the ends of the logs");
  const { seal, ...body } = found;
  const id = keyIdOf(key);
  if (found.key !== id) {
    // Its ends are worth something when they do not fit. That they fit says nothing: anybody may name another key.
    const detail = `${file} is sealed with key ${found.key.slice(0, 64)}, and now it is ${id}: nothing shows that its ends were the logs'`;
    return { marks: found.marks, fault: { what: "key", n: 0, detail } };
  }
  if (seal !== sealOf(key, body)) return fault("is not what was sealed");
  return { marks: found.marks };
}

function parse(text: string): AnchorFile | undefined {
  try {
    const found = JSON.parse(text) as AnchorFile;
    return Array.isArray(found.marks) && found.marks.every(isMark) && typeof found.key === "string" ? found : undefined;
  } catch {
    return undefined;
  }
}

function isMark(mark: Partial<AuditMark> | null): boolean {
  return auditLogs.some((log) => log === mark?.log) && Number.isSafeInteger(mark?.n) && typeof mark?.hash === "string";
}

/** The log's name is only what a seal is made over; the file is of both. */
const sealOf = (key: string, { atMs, marks, key: id }: Omit<AnchorFile, "seal">): string =>
  sealed(key, "decisions", "anchor", { atMs, marks, key: id }).split(" ")[0] ?? "";
