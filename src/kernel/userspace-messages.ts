import type { Backlog } from "./control-inbox.ts";
import type { DatapathNews, DeviceSettings, SessionCounters, SessionRequest } from "./datapath.ts";
import type { Refusal } from "./refusals.ts";

/** What the main thread asks of the forwarding thread, and what that tells it. Descriptors stay the main thread's. */
export type WorkerCommand =
  | {
      readonly type: "create-tunnel";
      readonly localControlConnectionId: number;
      readonly fd: number;
      readonly backlog: Backlog;
    }
  | { readonly type: "delete-tunnel"; readonly localControlConnectionId: number }
  /** Answered with the descriptor: making a device can wait for others' work on the machine's devices. */
  | { readonly type: "open-device"; readonly interfaceName: string }
  | { readonly type: "create-session"; readonly session: SessionRequest; readonly tapFd: number }
  | {
      readonly type: "raise-session";
      readonly localSessionId: number;
      readonly addresses: readonly string[];
      readonly routes: readonly string[];
    }
  | { readonly type: "lower-session"; readonly localSessionId: number }
  /** `before`: what the device is to lose where it is not in `settings`. */
  | {
      readonly type: "change-session";
      readonly localSessionId: number;
      readonly before: DeviceSettings;
      readonly settings: DeviceSettings;
    }
  | { readonly type: "delete-session"; readonly localSessionId: number }
  | { readonly type: "counters"; readonly localControlConnectionId: number | undefined }
  | { readonly type: "close" };

export interface WorkerRequest {
  readonly serial: number;
  readonly command: WorkerCommand;
}

export interface WorkerAnswer {
  readonly type: "answer";
  readonly serial: number;
  readonly refusal?: Refusal;
  readonly counters: readonly SessionCounters[];
  /** Datagrams that nobody took. */
  readonly discarded: number;
  /** Of "open-device". */
  readonly tapFd?: number;
}

export type WorkerMessage =
  | WorkerAnswer
  | { readonly type: "control-datagram"; readonly localControlConnectionId: number; readonly octets: Uint8Array }
  | { readonly type: "device-lost"; readonly localSessionId: number }
  | { readonly type: "news"; readonly news: DatapathNews };

export interface WorkerSetup {
  readonly eventFd: number;
  /** One Int32: not 0 when the thread shall end at once. */
  readonly heartbeat: SharedArrayBuffer;
  /** Network namespace that the thread lives in; `undefined`: the daemon's own. */
  readonly netns: string | undefined;
}
