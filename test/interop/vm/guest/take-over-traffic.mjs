// take-over-traffic.mjs echo ADDRESS...: sends back what comes to port 7000 of each of them.
// take-over-traffic.mjs send FILE ADDRESS...: sends numbered datagrams to each, one every 10 ms, until FILE is there; then says
// of each, on a line of its own, how many went and how many did not come back, and how many came twice; then which.
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";

const PORT = 7000;
const INTERVAL_MS = 10;
const LINGER_MS = 3_000;
/** What waits while a busy machine lets others run, more than net.core.rmem_max of most machines. */
const BUFFER_OCTETS = 1 << 22;
const [role, ...args] = process.argv.slice(2);

function echo(address) {
  const socket = createSocket("udp4");
  socket.on("message", (octets, { port, address: from }) => socket.send(octets, port, from));
  socket.bind(PORT, address, () => socket.setRecvBufferSize(BUFFER_OCTETS));
}

class Sender {
  constructor(address) {
    this.address = address;
    this.sent = 0;
    this.twice = 0;
    this.failed = 0;
    this.back = new Set();
    this.socket = createSocket("udp4");
    this.socket.bind(() => this.socket.setRecvBufferSize(BUFFER_OCTETS));
    this.socket.on("message", (octets) => {
      const number = octets.readUInt32BE(0);
      if (this.back.has(number)) this.twice += 1;
      this.back.add(number);
    });
  }

  send() {
    const octets = Buffer.alloc(64);
    octets.writeUInt32BE(this.sent, 0);
    this.sent += 1;
    this.socket.send(octets, PORT, this.address, (error) => {
      if (error) this.failed += 1;
    });
  }

  report() {
    const { address, sent, back, twice } = this;
    const lost = Array.from({ length: sent }, (_, number) => number).filter((number) => !back.has(number));
    const which = lost.length === 0 ? "" : `\n${address}: of the numbers 0 to ${sent - 1} ${lost.join(", ")} are lost`;
    return `${address}: sent ${sent}, lost ${lost.length}, twice ${twice}, failed ${this.failed}${which}`;
  }
}

function send(file, addresses) {
  const senders = addresses.map((address) => new Sender(address));
  const timer = setInterval(() => {
    for (const sender of senders) sender.send();
    if (!existsSync(file)) return;
    clearInterval(timer);
    setTimeout(() => {
      for (const sender of senders) console.log(sender.report());
      process.exit();
    }, LINGER_MS);
  }, INTERVAL_MS);
}

if (role === "echo") for (const address of args) echo(address);
else send(args[0], args.slice(1));
