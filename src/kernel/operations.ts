import type { AdoptedSession, DeviceSettings, SessionCounters, SessionRequest } from "./datapath.ts";
import type { MadeSession } from "./inventory.ts";
import type { Refusal } from "./refusals.ts";

/** What the main thread asks of the kernel's thread, and what that answers. */
export type Operation =
  /** `fd` belongs to the kernel's thread from now on. */
  | {
      readonly type: "create-tunnel";
      readonly localControlConnectionId: number;
      readonly remoteControlConnectionId: number;
      readonly encapsulation: "udp" | "ip";
      readonly fd: number;
    }
  /** The same for one that an earlier process had. */
  | {
      readonly type: "adopt-tunnel";
      readonly localControlConnectionId: number;
      readonly remoteControlConnectionId: number;
      readonly encapsulation: "udp" | "ip";
      readonly fd: number;
      readonly sessions: readonly AdoptedSession[];
    }
  | { readonly type: "delete-tunnel"; readonly localControlConnectionId: number }
  | { readonly type: "create-session"; readonly session: SessionRequest }
  | { readonly type: "raise-session"; readonly localSessionId: number }
  | { readonly type: "lower-session"; readonly localSessionId: number }
  | { readonly type: "change-session"; readonly localSessionId: number; readonly settings: DeviceSettings }
  | { readonly type: "delete-session"; readonly localSessionId: number }
  | { readonly type: "counters"; readonly localControlConnectionId: number | undefined }
  /** What a thread that died may have left in the kernel. */
  | {
      readonly type: "remove-remnants";
      readonly tunnels: readonly number[];
      readonly sessions: readonly MadeSession[];
    }
  | { readonly type: "close" };

interface Numbered<O extends Operation> {
  readonly serial: number;
  readonly operation: O;
}

/** An operation, of any type or of one, and the number by which its completion is known. */
export type Job<T extends Operation["type"] = Operation["type"]> = Numbered<Extract<Operation, { readonly type: T }>>;

/** Without `refusal` the operation is done. */
export interface Completion {
  readonly serial: number;
  readonly refusal?: Refusal;
  readonly counters?: readonly SessionCounters[];
  /** Of "adopt-tunnel": why sessions that had been made are not there, by local Session ID. */
  readonly lost?: ReadonlyMap<number, string>;
}
