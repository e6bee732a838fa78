/** Whether two values of plain data say the same; octets by their content, lists in their order. */
export function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof Uint8Array || other instanceof Uint8Array) return sameOctets(one, other);
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [before, after] = [new Map(Object.entries(one)), new Map(Object.entries(other))];
  // A key that is there without a value is as one that is not there.
  return [...new Set([...before.keys(), ...after.keys()])].every((key) => same(before.get(key), after.get(key)));
}

function sameOctets(one: object, other: object): boolean {
  if (!(one instanceof Uint8Array) || !(other instanceof Uint8Array) || one.length !== other.length) return false;
  return one.every((octet, index) => octet === other[index]);
}
