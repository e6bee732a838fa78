/** What an input may be, how it is recognised, and what it is called. In the order in which they are tried. */
export const KINDS = {
  "ip-json": { mark: /^\s*[[{]/, title: "ip -json l2tp show" },
  "ip-text": { mark: /^(?:Tunnel \d+,\s+encap|Session \d+ in tunnel) /m, title: "ip l2tp show" },
  cisco: { mark: /^\s*(?:l2tp-class|pseudowire-class|xconnect) /m, title: "a Cisco configuration" },
  "ip-commands": { mark: /(?:^|\s)l2tp\s+(?:\\\n\s*)?add\s/m, title: "ip l2tp commands" },
} as const;

export type ImportKind = keyof typeof KINDS;
export const IMPORT_KINDS = Object.keys(KINDS) as readonly ImportKind[];
