import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What sniff.mjs sees on the wire of a site. */
export class Sniffer {
  packets = [];
  #child;

  constructor(site) {
    const words = ["netns", "exec", site.name, process.execPath, "test/interop/vm/guest/sniff.mjs"];
    this.#child = spawn("ip", words, { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface(this.#child.stdout);
    this.listening = new Promise((resolve) => lines.once("line", resolve));
    lines.on("line", (line) => {
      if (line.startsWith("{")) this.packets.push(JSON.parse(line));
    });
  }

  end() {
    this.#child.kill("SIGKILL");
  }
}
