/**
 * Things by a number that only grows, few of them at a time and most of them for a moment: calls that wait, turns that run. A `Map` of such things
 * moves to another table again and again, and each table that V8 has moved out of the young heap keeps the ones after it, with what they hold,
 * until the whole heap is marked. That was most of what a cell collected.
 */
export class Numbered<T extends object> {
  readonly #numbers: number[];
  readonly #values: (T | undefined)[];
  /** Those whose place is taken by one that stays for longer. */
  readonly #others = new Map<number, T>();
  #size = 0;

  constructor(places: number) {
    this.#numbers = Array.from({ length: places }, () => -1);
    this.#values = Array.from({ length: places });
  }

  get size(): number {
    return this.#size + this.#others.size;
  }

  get(number: number): T | undefined {
    const place = number % this.#numbers.length;
    return this.#numbers[place] === number ? this.#values[place] : this.#others.get(number);
  }

  /** Of a number that it does not have. */
  add(number: number, value: T): void {
    const place = number % this.#numbers.length;
    if (this.#values[place] !== undefined) {
      this.#others.set(number, value);
      return;
    }
    this.#numbers[place] = number;
    this.#values[place] = value;
    this.#size++;
  }

  delete(number: number): void {
    const place = number % this.#numbers.length;
    if (this.#numbers[place] !== number) {
      this.#others.delete(number);
      return;
    }
    if (this.#values[place] !== undefined) this.#size--;
    this.#values[place] = undefined;
    this.#numbers[place] = -1;
  }
}
