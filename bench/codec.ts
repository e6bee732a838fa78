import { decodeMessage } from "../src/avp/decode.ts";
import { type DigestKind, digestKey, signMessage, verifyMessage } from "../src/avp/digest.ts";
import { encodeMessage } from "../src/avp/encode.ts";
import { hidingKey } from "../src/avp/hiding.ts";
import type { ControlMessage } from "../src/avp/messages.ts";

const WARM_UP_MS = 500;
const MEASURE_MS = 2_000;
/** Messages of each mix between two looks at the clock. */
const ROUNDS = 200;
const GOAL = 300_000;

const opening = {
  hostName: "site-a.example.net",
  routerId: 0xc000_0201,
  assignedControlConnectionId: 0x1122_3344,
  pseudowireCapabilitiesList: [5, 4],
  vendorName: "l2tpv3-lcc",
  receiveWindowSize: 16,
};
const localSessionId = 0xaabb_cc01;
const remoteSessionId = 0x6ab4_ef04;
const assignedCookie = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** One control connection and one session coming up, and a keepalive. */
const MIX: readonly ControlMessage[] = [
  { name: "SCCRQ", ...opening, tieBreaker: Uint8Array.of(1, 35, 69, 103, 137, 171, 205, 239) },
  { name: "SCCRP", ...opening },
  { name: "SCCCN" },
  {
    name: "ICRQ",
    localSessionId,
    remoteSessionId: 0,
    serialNumber: 7,
    pseudowireType: 5,
    remoteEndId: Uint8Array.of(52, 50),
    circuitStatus: 3,
    assignedCookie,
    l2SpecificSublayer: 0,
  },
  { name: "ICRP", localSessionId, remoteSessionId, circuitStatus: 3, assignedCookie, l2SpecificSublayer: 0 },
  { name: "ICCN", localSessionId, remoteSessionId, circuitStatus: 1 },
  { name: "HELLO" },
];

/**
 * Pieces of work per second of processor time, `count` of them in each call of `once`: garbage collection is counted,
 * what else the machine does is not.
 */
function rate(count: number, once: () => void): number {
  const perSecond = (durationMs: number) => {
    const start = process.cpuUsage();
    let done = 0;
    let elapsed = 0;
    while (elapsed < durationMs) {
      for (let round = 0; round < ROUNDS; round++) once();
      done += ROUNDS * count;
      const { user, system } = process.cpuUsage(start);
      elapsed = (user + system) / 1_000;
    }
    return (done * 1_000) / elapsed;
  };
  perSecond(WARM_UP_MS);
  return Math.round(perSecond(MEASURE_MS));
}

const SECRET = new TextEncoder().encode("a shared secret");
const KEY = digestKey(SECRET);
const HIDING_KEY = hidingKey(SECRET);
/** Two nonces. */
const PREFIX = new Uint8Array(32).fill(0x5a);
const RANDOM_VECTOR = new Uint8Array(16).fill(0xa5);
const UNIT = "messages/s";

type Row = { readonly name: string; readonly value: number; readonly unit: string; readonly goal?: number };

/** The same messages with a digest: encoded and signed, verified and decoded. */
function signed(kind: DigestKind): readonly Row[] {
  const build = (message: ControlMessage) => {
    const octets = encodeMessage(0x1122_3344, 1, 2, message, { digests: [kind] });
    signMessage(octets, [{ key: KEY }], PREFIX);
    return octets;
  };
  const encoded = MIX.map(build);
  const send = rate(MIX.length, () => {
    for (const [index, message] of MIX.entries()) {
      if (build(message).length !== encoded[index]?.length) throw new Error(`${message.name} of another length`);
    }
  });
  const receive = rate(MIX.length, () => {
    for (const octets of encoded) {
      if (verifyMessage(octets, [KEY], PREFIX) !== 0) throw new Error("the digest does not agree");
      if (decodeMessage(octets).kind !== "message") throw new Error("not understood");
    }
  });
  return [
    { name: `control messages verified and decoded (${kind})`, value: receive, unit: UNIT },
    { name: `control messages encoded and signed (${kind})`, value: send, unit: UNIT },
  ];
}

/** The same messages with everything hidden that may be. */
function hidden(): readonly Row[] {
  const hiding = { key: HIDING_KEY, randomVector: RANDOM_VECTOR };
  const encoded = MIX.map((message) => encodeMessage(0x1122_3344, 1, 2, message, { hiding }));
  const send = rate(MIX.length, () => {
    for (const [index, message] of MIX.entries()) {
      const octets = encodeMessage(0x1122_3344, 1, 2, message, { hiding });
      if (octets.length !== encoded[index]?.length) throw new Error(`${message.name} of another length`);
    }
  });
  const receive = rate(MIX.length, () => {
    for (const octets of encoded) {
      if (decodeMessage(octets, HIDING_KEY).kind !== "message") throw new Error("not understood");
    }
  });
  return [
    { name: "control messages decoded, AVPs hidden", value: receive, unit: UNIT },
    { name: "control messages encoded, AVPs hidden", value: send, unit: UNIT },
  ];
}

export async function run(): Promise<readonly Row[]> {
  const encoded = MIX.map((message) => encodeMessage(0x1122_3344, 1, 2, message));
  const values = MIX.map((message) => Object.keys(message).length);
  // What the work is about is looked at, so that it cannot be left out.
  const decode = rate(MIX.length, () => {
    for (const [index, octets] of encoded.entries()) {
      const decoded = decodeMessage(octets);
      if (decoded.kind !== "message") throw new Error(`${MIX[index]?.name} came back ${decoded.kind}`);
      if (decoded.refused.length + decoded.ignored.length !== 0) throw new Error("an AVP was not understood");
    }
  });
  const encode = rate(MIX.length, () => {
    for (const [index, message] of MIX.entries()) {
      const octets = encodeMessage(0x1122_3344, 1, 2, message);
      if (octets.length !== encoded[index]?.length) throw new Error(`${message.name} of another length`);
    }
  });
  const size = Math.round(encoded.reduce((sum, octets) => sum + octets.length, 0) / encoded.length);
  const avps = Math.round(values.reduce((sum, count) => sum + count, 0) / values.length);
  const mix = `mean ${size} octets, ${avps} AVPs`;
  return [
    { name: `control messages decoded (${mix})`, value: decode, unit: UNIT, goal: GOAL },
    { name: `control messages encoded (${mix})`, value: encode, unit: UNIT, goal: GOAL },
    ...signed("md5"),
    ...signed("sha1"),
    ...hidden(),
  ];
}
