/**
 * Big-endian numbers in octets, without a DataView per access. Callers keep to bounds they have checked; `?? 0` is for
 * the type checker alone.
 */

export function readUint16(octets: Uint8Array, offset: number): number {
  return ((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0);
}

export function readUint32(octets: Uint8Array, offset: number): number {
  return ((readUint16(octets, offset) << 16) | readUint16(octets, offset + 2)) >>> 0;
}

/** Between octets and a bigint without bigint arithmetic, of which every step allocates. */
const cell = new DataView(new ArrayBuffer(8));

export function readUint64(octets: Uint8Array, offset: number): bigint {
  cell.setUint32(0, readUint32(octets, offset));
  cell.setUint32(4, readUint32(octets, offset + 4));
  return cell.getBigUint64(0);
}

export function writeUint16(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 8;
  octets[offset + 1] = value;
}

export function writeUint32(octets: Uint8Array, offset: number, value: number): void {
  writeUint16(octets, offset, value >>> 16);
  writeUint16(octets, offset + 2, value);
}

export function writeUint64(octets: Uint8Array, offset: number, value: bigint): void {
  cell.setBigUint64(0, value);
  writeUint32(octets, offset, cell.getUint32(0));
  writeUint32(octets, offset + 4, cell.getUint32(4));
}

/**
 * A copy that outlives the datagram. Not `slice`: on a Node Buffer that is a view. Values are short, so a loop beats
 * `set(subarray())`.
 */
export function copyOctets(octets: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  for (let index = start; index < end; index++) copy[index - start] = octets[index] ?? 0;
  return copy;
}

export function writeOctets(target: Uint8Array, offset: number, value: Uint8Array): number {
  for (let index = 0; index < value.length; index++) target[offset + index] = value[index] ?? 0;
  return offset + value.length;
}
