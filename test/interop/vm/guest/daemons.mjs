// Two daemons on the real kernel: npm run vm -- test/interop/vm/guest/daemons.mjs session refusals
// Without words: everything that daemon-*.mjs has, one file after the other. The first has to find no module loaded: "session" or "modules".
import { finish } from "./daemon-lab.mjs";

const ALL = [
  "session",
  "refusals",
  "keepalive",
  "static",
  "modules",
  "many",
  "encapsulations",
  "faults",
  "reload",
  "vlan",
  "netns",
  "vpp",
  "matrix",
  "sequencing",
  "howto",
  "nat",
  "ipsec",
];
const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : ALL) await import(`./daemon-${name}.mjs`);
finish();
