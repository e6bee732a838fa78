import { describe, test } from "vitest";
import { BOOT_TIMEOUT_MS, type Boot, passBoot } from "../support/vm-checks.ts";
import { vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();

/** For data towards SoftEther; libc6 for its character sets. */
const SOFTETHER = ["softether-vpnserver", "strongswan-charon", "strongswan-swanctl", "libc6"];

/** What docs/ipsec.md has the administrator install; netbase, which every Debian has, knows the number of "udp". */
const STRONGSWAN = ["charon-systemd", "strongswan-swanctl", "libstrongswan-standard-plugins", "netbase", "openssl"];

const BOOTS: readonly (readonly [title: string, boot: Boot])[] = [
  [
    "F01, F03, F09, F10 UDP and IP, IPv4 and IPv6, link-local peers, two tunnels between the same addresses",
    { names: ["encapsulations"], checks: 95 },
  ],
  ["what others do to tunnels, sessions and devices", { names: ["faults"], checks: 35 }],
  ["reload: what differs is changed while frames flow, and nothing else", { names: ["reload"], checks: 42 }],
  [
    "I01, I05 VLAN pseudowires: tags rewritten at both ends, none without module 8021q",
    { names: ["vlan"], checks: 44 },
  ],
  ["network namespaces with the same addresses, and a peer that comes by a VRF", { names: ["netns"], checks: 43 }],
  ["the setups of conf/examples: trunks behind a NAT, three gateways, routed sites", { names: ["howto"], checks: 50 }],
  ["require_ipsec: nothing in clear before the policies come, nor after they go", { names: ["ipsec"], checks: 48 }],
  [
    "H04, G13 two initiators behind a NAT that rewrites ports, forgets its mappings, restarts and gets another address",
    { names: ["nat"], checks: 30 },
  ],
  [
    "SoftEther: frames through its virtual hub, L2TP over IP inside IPsec",
    { names: ["softether"], checks: 12, packages: SOFTETHER },
  ],
  [
    "the recipes of docs/ipsec.md for strongSwan: L2TP over UDP and over IP in ESP",
    { names: ["strongswan"], checks: 60, packages: STRONGSWAN },
  ],
  ["the recipe of docs/ipsec.md for WireGuard", { names: ["wireguard"], checks: 19, packages: ["wireguard-tools"] }],
];

describe.skipIf(unavailable !== undefined)(
  `daemons among all kinds of neighbours, kernel datapath${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each(BOOTS)("%s", { timeout: BOOT_TIMEOUT_MS }, (_title, boot) => passBoot(boot));
  },
);
