import { type DecodedMessage, decodeMessage } from "../avp/decode.ts";
import { describeMessage, describeValues } from "../avp/describe.ts";
import { hidingKey } from "../avp/hiding.ts";
import { ProtocolError } from "../avp/protocol-error.ts";
import type { Effect, Endpoint, Input } from "../control/core.ts";
import { endpointText } from "../control/endpoint.ts";
import { hexOf, type RecordingHeader } from "../daemon/recording-format.ts";
import type { Replay, ReplayStep, StateChange } from "../daemon/replay.ts";

const INDENT = "    ";

export function renderHeader({ version, recorded, configuration }: RecordingHeader): string {
  const { hostname, tunnels } = configuration;
  const names = tunnels.map(({ name }) => name).join(", ");
  return `${hostname}, tunnels: ${names === "" ? "none" : names}; recorded by l2tpv3-lcc ${version}, ${recorded}`;
}

/** A line for what happened, and below it one for each thing that follows. */
export function renderStep({ at, input, effects, changes, failure }: ReplayStep, replay: Replay): readonly string[] {
  const { secrets, header } = replay;
  const seconds = ((at - header.now) / 1_000).toFixed(3);
  const lines = [`+${seconds} ${input === undefined ? "timer" : renderInput(input, secrets)}`];
  for (const change of changes) lines.push(`${INDENT}${renderChange(change)}`);
  for (const effect of effects) lines.push(`${INDENT}${renderEffect(effect, secrets)}`);
  if (failure !== undefined) lines.push(...failure.split("\n").map((line) => `${INDENT}FAILED ${line}`));
  return lines;
}

function renderInput(input: Input, secrets: readonly Uint8Array[]): string {
  if (input.type !== "datagram") return renderFields(input);
  return `received ${renderDatagram(input.octets, secrets)} from ${endpointText(input.from)}`;
}

function renderChange({ tunnel, session, from, to }: StateChange): string {
  return `${session === undefined ? tunnel : `${tunnel}/${session}`}: ${from} -> ${to}`;
}

function renderEffect(effect: Effect, secrets: readonly Uint8Array[]): string {
  switch (effect.type) {
    case "send":
      return `send ${renderDatagram(effect.octets, secrets)} to ${endpointText(effect.to)}`;
    case "reply":
      return `reply ${renderDatagram(effect.octets, secrets)} to ${endpointText(effect.to)}`;
    case "log": {
      const { level, event, message, tunnel, session } = effect;
      const where = [tunnel, session].filter((name) => name !== undefined).join("/");
      return `log ${level} ${event}${where === "" ? "" : ` ${where}`}: ${message}`;
    }
    default:
      return renderFields(effect);
  }
}

/** "SCCRQ (CCID 0, Ns 0, Nr 0: Host Name "a", Router ID 1)" */
function renderDatagram(octets: Uint8Array, secrets: readonly Uint8Array[]): string {
  try {
    const decoded = decodeWith(octets, secrets);
    const { controlConnectionId, ns, nr } = decoded.header;
    const values = describeValues(decoded);
    const header = `CCID ${controlConnectionId}, Ns ${ns}, Nr ${nr}`;
    return `${describeMessage(decoded)} (${header}${values === "" ? "" : `: ${values}`})`;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return `${octets.length} octets (${error.message})`;
  }
}

/** With the secret, if any, that lets most of what is hidden be read. */
function decodeWith(octets: Uint8Array, secrets: readonly Uint8Array[]): DecodedMessage {
  let best = decodeMessage(octets);
  for (const secret of secrets) {
    if (flaws(best) === 0) return best;
    const decoded = decodeMessage(octets, hidingKey(secret));
    if (flaws(decoded) < flaws(best)) best = decoded;
  }
  return best;
}

function flaws(decoded: DecodedMessage): number {
  if (decoded.kind === "zlb" || decoded.kind === "unknown") return 0;
  return [...decoded.refused, ...decoded.ignored].filter(({ hidden }) => hidden).length;
}

/** "open-socket localControlConnectionId 1 local 0.0.0.0:1701" */
function renderFields({ type, ...fields }: { readonly type: string }): string {
  return [type, ...named(fields)].join(" ");
}

function named(fields: object): readonly string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${renderValue(value)}`);
}

function renderValue(value: unknown): string {
  if (value instanceof Uint8Array) return `0x${hexOf(value)}`;
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(renderValue).join(" ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return isEndpoint(value) ? endpointText(value) : `{${named(value).join(", ")}}`;
}

function isEndpoint(value: object): value is Endpoint {
  return "address" in value && "port" in value;
}
