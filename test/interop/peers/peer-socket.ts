import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Endpoint } from "../../../src/control/core.ts";

/** What comes to a peer: control messages, and data packets from their Session ID on. */
export interface Listener {
  readonly control: (octets: Uint8Array, from: Endpoint) => void;
  readonly data: (packet: Uint8Array) => void;
}

/** What carries a scripted peer's messages. Over IP the ports are 0. */
export interface PeerSocket {
  readonly endpoint: Endpoint;
  /** To be called once. */
  listen(listener: Listener): void;
  sendControl(octets: Uint8Array, to: Endpoint): void;
  sendData(packet: Uint8Array, to: Endpoint): void;
  close(): void;
}

/** RFC 3931 4.1.2.1: data over UDP has four octets before the Session ID, with T = 0 and Ver = 3. */
const DATA_HEADER = Uint8Array.of(0, 3, 0, 0);

/** A UDP socket on any free port of the address. */
export async function udpSocket(address: string): Promise<PeerSocket> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  const { port } = socket.address();
  return {
    endpoint: { address, port },
    listen: ({ control, data }) => {
      socket.on("message", (octets, from) => {
        if (((octets[0] ?? 0) & 0x80) === 0) data(octets.subarray(DATA_HEADER.length));
        else control(octets, { address: from.address, port: from.port });
      });
    },
    sendControl: (octets, to) => socket.send(octets, to.port, to.address),
    sendData: (packet, to) => socket.send(Buffer.concat([DATA_HEADER, packet]), to.port, to.address),
    close: () => socket.close(),
  };
}
