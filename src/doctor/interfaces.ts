import type { DeviceFact } from "../kernel/devices.ts";
import { type Finding, finding, ok } from "./finding.ts";
import { type Plan, sessionsOf } from "./plan.ts";

export interface InterfaceFacts {
  readonly devices: ReadonlyMap<string, DeviceFact>;
  /** Interfaces of sessions that the running daemon has up. */
  readonly ours: readonly string[];
}

/** The devices that the configuration names: those that must be there, and those that must not. */
export function checkInterfaces(facts: InterfaceFacts, plan: Plan): Finding[] {
  const sessions = sessionsOf(plan);
  return [
    ...sessions.map(({ session, name }) => checkOwn(name, session.interfaceName, facts)),
    ...named(plan.tunnels.map(({ bindDevice }) => bindDevice)).map((device) => checkBindDevice(device, facts)),
    ...named(sessions.map(({ session }) => session.bridge)).map((bridge) => checkBridge(bridge, facts)),
    ...named(sessions.map(({ session }) => session.circuit)).map((circuit) => checkCircuit(circuit, facts)),
  ];
}

function named(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.flatMap((name) => name ?? []))];
}

function checkOwn(session: string, name: string, { devices, ours }: InterfaceFacts): Finding {
  const check = `interface ${name} of session ${session}`;
  if (!devices.has(name)) return ok(check, "the name is free");
  if (ours.includes(name)) return ok(check, "there, and the daemon's");
  const advice = "remove it, or configure another name for the session";
  return finding(check, "error", "a device of that name is there, and the daemon has not made it", advice);
}

function checkBindDevice(name: string, { devices }: InterfaceFacts): Finding {
  const check = `bind_device ${name}`;
  if (devices.has(name)) return ok(check, "there");
  const advice = "make that interface or VRF, or mend the name; the daemon waits for it";
  return finding(check, "warning", "there is no such device", advice);
}

function checkBridge(name: string, { devices }: InterfaceFacts): Finding {
  const check = `bridge ${name}`;
  const device = devices.get(name);
  if (device === undefined) {
    const advice = `make it: ip link add ${name} type bridge; the daemon waits for it`;
    return finding(check, "warning", "there is no such device", advice);
  }
  if (device.isBridge) return ok(check, "there");
  return finding(check, "error", "a device of that name is there, and it is no bridge", "name a bridge");
}

function checkCircuit(name: string, { devices }: InterfaceFacts): Finding {
  const check = `circuit ${name}`;
  const device = devices.get(name);
  if (device?.hasCarrier === true) return ok(check, "up, with carrier");
  const found = device === undefined ? "there is no such device" : "down, or without carrier";
  return finding(check, "warning", `${found}: the peer is told that the circuit is down`, "connect it and set it up");
}
