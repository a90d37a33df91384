import type { Key } from "./environment.ts";

/** A number for each key, found part by part: nothing is made of a key to look it up. */
export class KeyNumbers {
  readonly #root: Branch = makeBranch();

  get(key: Key): number | undefined {
    let branch: Branch | undefined = this.#root;
    const last = key.length - 1;
    for (let at = 0; at < last && branch !== undefined; at += 1) branch = branch.longer.get(key[at] as Part);
    return branch?.ends.get(key[last] as Part);
  }

  set(key: Key, number: number): void {
    let branch = this.#root;
    const last = key.length - 1;
    for (let at = 0; at < last; at += 1) {
      const part = key[at] as Part;
      let next = branch.longer.get(part);
      if (next === undefined) branch.longer.set(part, (next = makeBranch()));
      branch = next;
    }
    branch.ends.set(key[last] as Part, number);
  }
}

type Part = string | number;

/** What follows the same first parts. */
interface Branch {
  /** Of the keys that end here, by their last part. */
  readonly ends: Map<Part, number>;
  readonly longer: Map<Part, Branch>;
}

const makeBranch = (): Branch => ({ ends: new Map(), longer: new Map() });
