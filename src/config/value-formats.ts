import {
  type Format,
  integer,
  isInterfaceName,
  isUnicast,
  matching,
  parseHttpAddress,
  parseListen,
  parseRouterId,
  text,
} from "./format.ts";
import { LONGEST_SECRET } from "./secret-file.ts";

/** 0 is what a message carries for want of an id (RFC 3931 4.1, 5.4.3). */
export const staticId = (name: string) => integer(name, 1, 0xffff_ffff);

export const cookie = (name: string): Format<string> => ({
  ...text(name, 'a string of 8 or 16 hexadecimal digits (4 or 8 octets), or "" for none', (value) =>
    /^(?:(?:[0-9a-f]{8}){0,2})$/i.test(value),
  ),
  confidential: true,
});

export const ROLES = ["initiator", "responder", "both"] as const;

export const asciiName = text("ascii-name", "1 to 255 printable US-ASCII characters", (value) =>
  /^[\x20-\x7e]{1,255}$/.test(value),
);

export const routerId = matching(
  "router-id",
  'an unsigned 32-bit value, dotted ("192.0.2.1") or an integer from 0 to 4294967295',
  (value): value is string | number => parseRouterId(value) !== undefined,
);

export const absolutePath = text(
  "socket-path",
  "an absolute path of at most 107 octets",
  (value) => /^\/[^\0]*[^/\0]$/.test(value) && Buffer.byteLength(value) <= 107,
);

export const secret: Format<string> = {
  ...text(
    "secret",
    `a string of at most ${LONGEST_SECRET} octets`,
    (value) => Buffer.byteLength(value) <= LONGEST_SECRET,
  ),
  confidential: true,
};

export const secretFile: Format<string> = {
  ...text("secret-file", "a path, absolute or relative to this file's directory", (value) => /^[^\0]+$/.test(value)),
  confidential: true,
};

export const trueOrFalse = matching(
  "boolean",
  "true or false",
  (value): value is boolean => typeof value === "boolean",
);

export const interfaceName = (name: string) =>
  text(name, "an interface name: 1 to 15 printable characters without space, /, : and %", isInterfaceName);

export const netns = text(
  "netns",
  'the name of a network namespace as of ip netns ("blue"), or an absolute path ("/proc/1234/ns/net")',
  (value) => /^\/[^\0]*[^/\0]$/.test(value) || (/^[^/\0]{1,255}$/.test(value) && value !== "." && value !== ".."),
);

export const listenAddress = text(
  "listen-address",
  "udp:ADDRESS:PORT with a port from 1 to 65535, or ip:ADDRESS, with an IPv4 address or an IPv6 address in brackets",
  (value) => parseListen(value) !== undefined,
);

export const metricsAddress = text(
  "metrics-address",
  "ADDRESS:PORT with a port from 1 to 65535, an IPv6 address in brackets",
  (value) => parseHttpAddress(value) !== undefined,
);

/** What execve takes: no NUL in any word. */
export const hookCommand = matching(
  "hook-command",
  'a list of strings: the absolute path of an executable ("/etc/l2tpv3-lcc/hooks/notify"), then its arguments',
  (value): value is readonly string[] =>
    Array.isArray(value) &&
    value.every((word) => typeof word === "string" && !word.includes("\0")) &&
    /^\/.*[^/]$/s.test(String(value[0])),
);

export const localAddress: Format<string> = {
  ...text(
    "local-address",
    'an IPv4 or IPv6 address of this machine (link-local: with its interface, "fe80::1%eth0"), "auto", or "@" and an interface ("@eth0")',
    (value) => value === "auto" || isUnicast(value) || (value.startsWith("@") && isInterfaceName(value.slice(1))),
  ),
  choices: ["auto"],
};

export const tos = matching(
  "tos",
  "an integer from 0 to 252 whose ECN bits (the lowest two) are 0: a multiple of 4",
  (value): value is number => integer("", 0, 255).accepts(value) && value % 4 === 0,
);

export const mtu = matching(
  "mtu",
  '"auto" or an integer from 576 to 9216',
  (value): value is number | "auto" => value === "auto" || integer("", 576, 9216).accepts(value),
);

export const endId = (name: string) =>
  matching(
    name,
    'a string, or with end_id_format = "u32" an integer from 0 to 4294967295',
    (value): value is string | number =>
      (typeof value === "string" && value !== "") || integer("", 0, 0xffff_ffff).accepts(value),
  );
