import { afterEach, describe, expect, test } from "vitest";
import * as libc from "../../../src/kernel/libc.ts";
import { applySocketOptions, type OuterHeaderOptions } from "../../../src/kernel/socket-options.ts";

const PLAIN: OuterHeaderOptions = { df: undefined, tos: 0, ttl: undefined, udpChecksum: true };

/** Where ip(7), ipv6(7) and udp(7) have them. */
const FAMILIES = [
  { family: 4, domain: libc.AF_INET, level: 0, discovery: 10, tos: 1, ttl: 2, checksum: [[1, 11]] },
  {
    family: 6,
    domain: libc.AF_INET6,
    level: 41,
    discovery: 23,
    tos: 67,
    ttl: 16,
    checksum: [
      [17, 101],
      [17, 102],
    ],
  },
] as const;

const opened: number[] = [];
afterEach(() => {
  for (const fd of opened.splice(0)) libc.close(fd);
});

function socket(domain: number): number {
  const fd = libc.socket(domain, libc.SOCK_DGRAM, 0);
  opened.push(fd);
  return fd;
}

describe.each(FAMILIES)("a UDP socket of IPv$family", ({ family, domain, level, discovery, tos, ttl, checksum }) => {
  const read = (fd: number) => [discovery, tos, ttl].map((name) => libc.getsockopt(fd, level, name));
  const omitted = (fd: number) => checksum.map(([where, name]) => libc.getsockopt(fd, where, name));

  test("without options it is as the kernel made it", () => {
    const [fd, untouched] = [socket(domain), socket(domain)];
    applySocketOptions(fd, family, PLAIN);
    expect(read(fd)).toEqual(read(untouched));
    expect(omitted(fd)).toEqual(checksum.map(() => 0));
  });

  test("F23: DSCP with ECN bits 00, time to live, Don't Fragment and no checksum", () => {
    const fd = socket(domain);
    applySocketOptions(fd, family, { df: true, tos: 184, ttl: 64, udpChecksum: false });
    expect(read(fd)).toEqual([2, 184, 64]);
    expect(omitted(fd)).toEqual(checksum.map(() => 1));
    applySocketOptions(fd, family, { ...PLAIN, df: false });
    expect(read(fd)[0]).toBe(0);
  });

  test("what is no UDP socket has no checksum to leave out", () => {
    const fd = socket(domain);
    applySocketOptions(fd, family, { ...PLAIN, udpChecksum: false }, false);
    expect(omitted(fd)).toEqual(checksum.map(() => 0));
  });
});
