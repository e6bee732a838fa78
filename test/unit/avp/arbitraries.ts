import fc, { type Arbitrary } from "fast-check";
import { type ControlMessage, MESSAGES, type MessageName } from "../../../src/avp/messages.ts";
import { AVPS, type AvpName, type AvpValue } from "../../../src/avp/registry.ts";

const uint8 = fc.nat(0xff);
const uint16 = fc.nat(0xffff);
const uint32 = fc.nat(0xffff_ffff);
const id = fc.integer({ min: 1, max: 0xffff_ffff });
const uint64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const present = fc.constant(true as const);

function octets(minLength: number, maxLength: number): Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength });
}

function ascii(minLength: number): Arbitrary<string> {
  return fc.string({ unit: "binary-ascii", minLength, maxLength: 64 });
}

const utf8 = fc.string({ unit: "grapheme", maxLength: 64 });

/** Every value that may be sent, AVP by AVP; the type checker misses none. */
const VALUES: { readonly [N in AvpName]: Arbitrary<AvpValue<N>> } = {
  messageType: uint16,
  resultCode: fc.oneof(
    fc.record({ result: fc.integer({ min: 1, max: 0xffff }) }),
    fc.record({ result: fc.integer({ min: 1, max: 0xffff }), error: uint16 }),
    fc.record({
      result: fc.integer({ min: 1, max: 0xffff }),
      error: uint16,
      message: fc.string({ unit: "grapheme", minLength: 1, maxLength: 64 }),
    }),
  ),
  tieBreaker: octets(8, 8),
  hostName: ascii(1),
  vendorName: ascii(0),
  receiveWindowSize: fc.integer({ min: 1, max: 0xffff }),
  serialNumber: uint32,
  physicalChannelId: uint32,
  circuitErrors: fc.oneof(
    fc.record({ hardwareOverruns: uint32, bufferOverruns: uint32, timeoutErrors: uint32, alignmentErrors: uint32 }),
    fc.record({
      crcErrors: uint32,
      framingErrors: uint32,
      hardwareOverruns: uint32,
      bufferOverruns: uint32,
      timeoutErrors: uint32,
      alignmentErrors: uint32,
    }),
  ),
  randomVector: octets(1, 1017),
  extendedVendorId: fc.array(fc.record({ vendorId: uint32, type: uint16, octets: octets(0, 1011) }), {
    minLength: 1,
    maxLength: 3,
  }),
  messageDigest: fc.array(
    fc.oneof(
      fc.record({ type: fc.constant(0 as const), digest: octets(16, 16) }),
      fc.record({ type: fc.constant(1 as const), digest: octets(20, 20) }),
    ),
    { minLength: 1, maxLength: 2 },
  ),
  routerId: uint32,
  assignedControlConnectionId: id,
  pseudowireCapabilitiesList: fc.array(uint16, { minLength: 1, maxLength: 508 }),
  localSessionId: id,
  remoteSessionId: uint32,
  assignedCookie: fc.oneof(octets(0, 0), octets(4, 4), octets(8, 8)),
  remoteEndId: octets(0, 1017),
  pseudowireType: uint16,
  l2SpecificSublayer: uint16,
  dataSequencing: fc.constantFrom(0, 1, 2),
  circuitStatus: fc.nat(0x7f),
  preferredLanguage: ascii(1),
  controlMessageAuthenticationNonce: octets(1, 1017),
  txConnectSpeed: uint64,
  rxConnectSpeed: uint64,
  rxMinimumBps: uint32,
  rxMaximumBps: uint32,
  serviceCategory: uint16,
  serviceName: octets(0, 1017),
  callingSubAddress: octets(20, 20),
  vpiVciIdentifier: fc.record({ vpi: uint16, vci: uint16 }),
  pppDisconnectCauseCode: fc.record({ code: uint16, controlProtocol: uint16, direction: uint8, message: utf8 }),
  controlConnectionDs: uint16,
  sessionDs: uint16,
  modemOnHoldCapable: present,
  modemOnHoldStatus: uint16.map((flags) => flags & 0x800f),
  failoverCapability: fc.record({ flags: fc.constantFrom(1, 2, 3), recoveryTimeMs: uint32 }),
  tunnelRecovery: fc.record({ localControlConnectionId: uint32, remoteControlConnectionId: uint32 }),
  suggestedControlSequence: fc.record({ ns: uint16, nr: uint16 }),
  failoverSessionState: fc.array(fc.record({ sessionId: uint32, remoteSessionId: uint32 }), {
    minLength: 1,
    maxLength: 5,
  }),
  frameRelayHeaderLength: fc.constantFrom(2, 4),
  atmMaximumConcatenatedCells: uint16,
  oamEmulationRequired: present,
  atmAlarmStatus: fc.record({ circuitStatusReason: uint16, alarm: uint16 }),
  attachmentGroupIdentifier: octets(0, 1017),
  localEndId: octets(0, 1017),
  interfaceMtu: uint16,
  fcsRetention: fc.constantFrom(2, 4),
  maximumReceiveUnit: uint16,
  maximumReassembledReceiveUnit: uint16,
  vccvCapability: fc.record({ controlChannelTypes: uint8, connectivityVerificationTypes: uint8 }),
  connectSpeedUpdate: fc.array(fc.record({ remoteSessionId: uint32, txConnectSpeed: uint64, rxConnectSpeed: uint64 }), {
    minLength: 1,
    maxLength: 5,
  }),
  connectSpeedUpdateEnable: present,
  tdmPseudowire: fc.record({ flags: uint16, bitRate: uint16, payloadOctets: uint16 }),
  rtp: fc.record({ flags: uint16, timestampClock: uint16, ssrc: uint32 }),
  pseudowireSwitchingPoint: octets(0, 1017),
  sbfdDiscriminators: fc.array(uint32, { minLength: 1, maxLength: 254 }),
  ecnCapability: present,
  challenge: octets(1, 1017),
  challengeResponse: octets(16, 16),
};

/** One value of an AVP, also where it is repeatable. */
export function singleValueOf(name: AvpName): Arbitrary<unknown> {
  const values: Arbitrary<unknown> = VALUES[name];
  return AVPS[name].repeatable ? values.map((list) => (list as readonly unknown[])[0]) : values;
}

/** Every message of that name that may be sent. */
export function messagesNamed(name: MessageName): Arbitrary<ControlMessage> {
  const { requires, allows } = MESSAGES[name];
  const names: readonly AvpName[] = [...requires, ...allows, "extendedVendorId"];
  const model: Record<string, Arbitrary<unknown>> = { name: fc.constant(name) };
  for (const avpName of names) model[avpName] = VALUES[avpName];
  return fc.record(model, { requiredKeys: ["name", ...requires] }) as Arbitrary<unknown> as Arbitrary<ControlMessage>;
}
