import { CISCO, CISCO_IETF } from "./cisco.ts";
import type { Personality } from "./personality.ts";
import { MIKROTIK, NEC, SEIL, YAMAHA } from "./small-routers.ts";

/** What one of the scripted peers and one of our tunnels are to do together. */
export interface Case {
  readonly peer: Personality;
  /** Who opens the connection and places the call. */
  readonly opens: "we" | "peer";
  readonly digest?: "md5" | "sha1";
  /** Nobody has a secret: the digests are an integrity check. */
  readonly integrity?: boolean;
  /** Both ends hide their cookies, and we all that may be hidden. */
  readonly hidden?: boolean;
  /** Octets of the peer's cookie, and of ours. */
  readonly cookie: 0 | 4 | 8;
  /** The Remote End ID that the peer sends, in hex; we configure "100". */
  readonly endId?: string;
  /** More keys of the tunnel, and of the session. */
  readonly tunnel?: string;
  readonly session?: string;
  readonly dialect: string;
  readonly feature: string;
}

const OPENS = ["we", "peer"] as const;
const DIGESTS = ["md5", "sha1"] as const;
const COOKIES = [4, 8] as const;

/** Each end opens, with each digest, hidden and not, with each cookie, and with what IOS does by default. */
function ciscoCases(peer: Personality, dialect: string): readonly Case[] {
  return OPENS.flatMap((opens): readonly Case[] => {
    const common = { peer, opens, dialect };
    const signed = DIGESTS.flatMap((digest) =>
      COOKIES.flatMap((cookie) => [
        { ...common, digest, cookie, feature: `digest ${digest}, cookie ${cookie}` },
        { ...common, digest, cookie, hidden: true, feature: `digest ${digest}, hidden cookie ${cookie}` },
      ]),
    );
    return [
      { ...common, cookie: 0, feature: "no digest, no cookie" },
      ...COOKIES.map((cookie) => ({ ...common, cookie, feature: `no digest, cookie ${cookie}` })),
      { ...common, digest: "md5", integrity: true, cookie: 4, feature: "digest without a secret, cookie 4" },
      ...signed,
    ];
  });
}

/** Every setup, over UDP. */
export const CASES: readonly Case[] = [
  ...ciscoCases(CISCO, "cisco"),
  ...ciscoCases(CISCO_IETF, "cisco-ietf"),
  { peer: CISCO, opens: "peer", dialect: "cisco", cookie: 0, endId: "00000064", feature: "end id in four octets" },
  { peer: CISCO, opens: "we", dialect: "cisco", cookie: 8, tunnel: 'dialect = "cisco"', feature: "dialect fixed" },
  { peer: YAMAHA, opens: "we", dialect: "yamaha", cookie: 0, tunnel: 'dialect = "yamaha"', feature: "dialect fixed" },
  ...OPENS.flatMap((opens): readonly Case[] => [
    { peer: YAMAHA, opens, dialect: "yamaha", cookie: 0, feature: "bare SCCRQ, text end id" },
    { peer: MIKROTIK, opens, dialect: "mikrotik", cookie: 4, feature: "sublayer, cookie 4" },
    {
      peer: MIKROTIK,
      opens,
      dialect: "mikrotik",
      cookie: 8,
      digest: "md5",
      feature: "sublayer, digest md5, cookie 8",
    },
    {
      // The configuration of docs/interop/mikrotik.md: nobody has a secret, which is the router's default.
      peer: MIKROTIK,
      opens,
      dialect: "mikrotik",
      cookie: 4,
      digest: "md5",
      integrity: true,
      tunnel: 'dialect = "mikrotik"',
      session: 'l2_sublayer = "default"',
      feature: "dialect fixed, digest md5 without a secret, cookie 4",
    },
    { peer: SEIL, opens, dialect: "ietf", cookie: 0, feature: "selected by name and Router ID" },
    ...COOKIES.map((cookie) => {
      const feature = `hides cookie ${cookie} alone`;
      return { peer: NEC, opens, dialect: "ietf", cookie, digest: "md5", hidden: true, feature } as const;
    }),
  ]),
];

/** Those whose peer speaks IP protocol 115, most of them nothing else. */
export const CASES_OVER_IP: readonly Case[] = CASES.filter(({ peer }) => peer !== YAMAHA);

export function titleOf({ peer, feature, opens }: Case): string {
  return `${peer.make}: ${feature}, ${opens} opens`;
}
