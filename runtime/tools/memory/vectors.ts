/**
 * Vectors of an index: by model and by the hash of the piece's text, so that a file that changed asks for vectors of its changed pieces alone, and a
 * text that stands in two files for one. A vector is its numbers as 32-bit floats, of length 1; one without numbers says that
 * the model refused the text, and it is not asked again.
 */
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { limits } from "../../kernel/limits.ts";
import type { Found } from "./index-file.ts";

export const vectorLayout = `
  CREATE TABLE vectors (model TEXT NOT NULL, hash BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (model, hash));
`;

export interface Unembedded {
  readonly hash: Uint8Array;
  readonly text: string;
}

export interface Vectors {
  /** Texts that have no vector of the model, the oldest first; none when the index has as many vectors as it may. */
  lacking(model: string, max: number): readonly Unembedded[];
  /** Undefined: the model refuses the text. */
  put(model: string, hash: Uint8Array, vector: Float32Array | undefined): void;
  /**
   * The model makes vectors of so many numbers: those of another length leave, since no query finds them, and their texts lack a vector again. A
   * provider may put another model behind the same name.
   */
  fit(model: string, dims: number): void;
  /** Those of other models, and of texts that are no more. */
  sweep(model: string | undefined): void;
  /** Pieces whose vector has at least that cosine with the query's, the nearest first. */
  nearest(
    model: string,
    query: Float32Array,
    scoreMin: number,
    collections: readonly string[],
    max: number,
  ): readonly Found[];
  /** `without`: pieces that have none. */
  count(model: string): { readonly vectors: number; readonly without: number };
}

export function hashOf(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

export function openVectors(db: DatabaseSync): Vectors {
  const counted = db.prepare("SELECT count(*) n FROM vectors WHERE model = ?");
  const without = db.prepare(
    "SELECT count(*) n FROM pieces WHERE hash NOT IN (SELECT hash FROM vectors WHERE model = ?)",
  );
  const lacking = db.prepare(
    `SELECT hash, text FROM pieces WHERE hash NOT IN (SELECT hash FROM vectors WHERE model = ?)
     GROUP BY hash ORDER BY min(id) LIMIT ?`,
  );
  const add = db.prepare("INSERT OR REPLACE INTO vectors (model, hash, vector) VALUES (?, ?, ?)");
  const sweep = db.prepare("DELETE FROM vectors WHERE model <> ? OR hash NOT IN (SELECT hash FROM pieces)");
  const misfits = db.prepare("DELETE FROM vectors WHERE model = ? AND length(vector) NOT IN (0, ?)");
  const vectorsOf = db.prepare(
    `SELECT p.id, v.vector FROM vectors v JOIN pieces p ON p.hash = v.hash JOIN files f ON f.id = p.file
     WHERE v.model = ? AND f.collection IN (SELECT value FROM json_each(?)) AND length(v.vector) = ?`,
  );
  const pieceOf = db.prepare(
    `SELECT p.id, f.collection, f.path, p.first "from", p.last "to", p.text FROM pieces p
     JOIN files f ON f.id = p.file WHERE p.id = ?`,
  );
  const countOf = (model: string): number => Number(counted.get(model)?.["n"] ?? 0);

  return {
    lacking(model, max) {
      const room = Math.min(max, limits.memoryVectorsMax - countOf(model));
      return room <= 0 ? [] : (lacking.all(model, room) as unknown as readonly Unembedded[]);
    },
    put: (model, hash, vector) =>
      void add.run(
        model,
        hash,
        vector === undefined ? new Uint8Array() : new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength),
      ),
    fit: (model, dims) => void misfits.run(model, dims * Float32Array.BYTES_PER_ELEMENT),
    sweep: (model) => void sweep.run(model ?? ""),
    nearest(model, query, scoreMin, collections, max) {
      let best: { readonly id: number; readonly score: number }[] = [];
      const rows = vectorsOf.iterate(model, JSON.stringify(collections), query.byteLength) as Iterable<{
        readonly id: number;
        readonly vector: Uint8Array;
      }>;
      for (const { id, vector } of rows) {
        const score = dot(query, vector);
        if (score < scoreMin) continue;
        best.push({ id, score });
        // Now and then, so that it stays short and is seldom sorted.
        if (best.length >= max * 8) best = nearestOf(best, max);
      }
      return nearestOf(best, max).map(({ id }) => pieceOf.get(id) as unknown as Found);
    },
    count: (model) => ({ vectors: countOf(model), without: Number(without.get(model)?.["n"] ?? 0) }),
  };
}

function nearestOf<One extends { readonly id: number; readonly score: number }>(
  all: readonly One[],
  max: number,
): One[] {
  return all.toSorted((a, b) => b.score - a.score || a.id - b.id).slice(0, max);
}

/** Both have length 1: the cosine. SQLite's bytes may begin anywhere, and numbers may not. */
function dot(query: Float32Array, bytes: Uint8Array): number {
  const aligned = bytes.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const vector = new Float32Array(aligned.buffer, aligned.byteOffset, query.length);
  let sum = 0;
  for (let at = 0; at < query.length; at++) sum += (query[at] ?? 0) * (vector[at] ?? 0);
  return sum;
}
