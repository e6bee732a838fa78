import { createHash } from "node:crypto";

const LONGEST = 15;

/** Whose device it is, and what the file calls it. */
export interface NamedInterface {
  readonly tunnel: string;
  readonly session: string;
  readonly configured: string | null;
}

/**
 * A name for every device, in the order given. A derived name is l2-TUNNEL-SESSION; where that is too long, or another
 * device has it ("a-b" and "c", "a" and "b-c"), it is shortened and ends in a hash of both names, so that it neither
 * depends on the order in the file nor changes when other sessions come and go.
 */
export function nameInterfaces(interfaces: readonly NamedInterface[]): readonly string[] {
  const uses = new Map<string, number>();
  for (const each of interfaces) {
    const name = each.configured ?? plainName(each);
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  return interfaces.map((each) => {
    if (each.configured !== null) return each.configured;
    const name = plainName(each);
    return name.length <= LONGEST && uses.get(name) === 1 ? name : hashedName(each);
  });
}

function plainName({ tunnel, session }: NamedInterface): string {
  return `l2-${tunnel}-${session}`;
}

/** 36 bits of hash: with 3000 such names the odds of a collision, which would be reported, are one in 15,000. */
function hashedName(named: NamedInterface): string {
  const digest = createHash("sha256").update(`${named.tunnel}/${named.session}`).digest();
  const hash = (digest.readBigUInt64BE() % 36n ** 7n).toString(36).padStart(7, "0");
  return `${plainName(named).slice(0, LONGEST - 1 - hash.length)}-${hash}`;
}
