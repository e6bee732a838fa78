/** Of the program as `npm run build` leaves it. */
const DIST = new URL("../../dist/src/kernel/", import.meta.url);

/** A packet socket hears what leaves the machine, too: a line of hexadecimal digits for each frame of "wan". */
export const CAPTURE = `
  import * as libc from "${DIST}libc.js";
  const fd = libc.socket(17, libc.SOCK_RAW, 0);
  const address = Buffer.alloc(20);
  address.writeUInt16LE(17, 0);
  address.writeUInt16BE(3, 2);
  address.writeInt32LE(libc.interfaceIndex("wan"), 4);
  libc.bind(fd, address);
  console.log("ready");
  const octets = Buffer.alloc(65536);
  setInterval(() => {
    let length;
    while ((length = libc.recv(fd, octets, octets.length, libc.MSG_DONTWAIT)) > 0) {
      console.log(octets.toString("hex", 0, length));
    }
  }, 10);
`;
