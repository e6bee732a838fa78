/** What a variable holds; `undefined`: something that the script does not tell. */
type Value = string | undefined;
type Values = ReadonlyMap<string, Value>;

/** An `if`, `case` or loop that has begun. */
interface OpenBlock {
  readonly before: Values;
  /** What holds at the ends of its branches so far. */
  readonly ends: Values[];
  /** One of the branches is taken in any case. */
  isComplete: boolean;
}

/** The variables of a script, along every way through it: one that two ways leave with two values is not known. */
export class Variables {
  #values = new Map<string, Value>();
  readonly #open: OpenBlock[] = [];

  /** Whether the script gives it a value, known or not. */
  isSet(name: string): boolean {
    return this.#values.has(name);
  }

  /** `undefined`: not set, or not known. */
  get(name: string): Value {
    return this.#values.get(name);
  }

  /** `value` `undefined`: it is set to something that is not known. */
  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  /** As after `&&` and `||`: set, or left as it was. */
  setPerhaps(name: string, value: Value): void {
    const isSame = !this.isSet(name) || this.get(name) === value;
    this.set(name, isSame ? value : undefined);
  }

  begin(): void {
    this.#open.push({ before: new Map(this.#values), ends: [], isComplete: false });
  }

  /** The next branch begins with what held before the first. */
  nextBranch(): void {
    const block = this.#open.at(-1);
    block?.ends.push(this.#values);
    if (block !== undefined) this.#values = new Map(block.before);
  }

  /** An `else`, or the pattern `*`. */
  complete(): void {
    const block = this.#open.at(-1);
    if (block !== undefined) block.isComplete = true;
  }

  /** `isWithinBranch`: the last branch has not been ended by `nextBranch`. */
  end(isWithinBranch: boolean): void {
    const block = this.#open.pop();
    if (block === undefined) return;
    const ways = [
      ...block.ends,
      ...(isWithinBranch ? [this.#values] : []),
      ...(block.isComplete ? [] : [block.before]),
    ];
    const names = new Set(ways.flatMap((way) => [...way.keys()]));
    this.#values = new Map([...names].map((name) => [name, agreed(name, ways)]));
  }
}

function agreed(name: string, ways: readonly Values[]): Value {
  const values = new Set(ways.filter((way) => way.has(name)).map((way) => way.get(name)));
  return values.size === 1 ? [...values][0] : undefined;
}
