import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import type { Site } from "../config/site.ts";

/**
 * The Router ID of a site that does not say it: the first local address, of the configuration before that of an
 * interface. At boot there may be neither yet; then it is made of the host name, so that it is the same every time and
 * another one at the peer (RFC 3931 5.4.3 wants it unique, not an address).
 */
export function ownRouterId({ lcce, tunnels }: Site): number {
  const configured = [...lcce.listen.map(({ address }) => address), ...tunnels.map(({ local }) => local)];
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = interfaces.filter(({ family, internal }) => family === "IPv4" && !internal);
  const address = [...configured, ...found.map((each) => each.address)].find(isUsable);
  if (address === undefined) return createHash("sha256").update(lcce.hostname).digest().readUInt32BE();
  return address.split(".").reduce((id, octet) => id * 256 + Number(octet), 0);
}

function isUsable(address: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(address) && address !== "0.0.0.0" && !address.startsWith("127.");
}
