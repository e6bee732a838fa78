import { dissect } from "../../support/tshark.ts";
import { SECRET } from "./exchange.ts";

const FIELDS = ["l2tp.version", "_ws.malformed", "l2tp.avp_length.bad", "_ws.expert.message", "ip.src"];

/** Of the peers' AVPs: Cisco's 115 has no meaning that anybody knows, and an end id is shown as if it were text. */
const EXCUSED: readonly string[] = ["Vendor-Specific AVP data", "Trailing stray characters"];

/**
 * What tshark finds wrong in a capture of control messages, in words; a wrong digest too. Without a secret the digests, where
 * there are some, are an integrity check. `ports`: of the peers, where they have some.
 */
export async function flaws(
  file: string,
  { messages, ours, signed }: { readonly messages: number; readonly ours: string; readonly signed: boolean },
  ports: readonly number[] = [],
): Promise<readonly string[]> {
  const secret = ["-o", `l2tp.shared_secret:${signed ? SECRET : ""}`];
  const frames = await dissect(file, FIELDS, [...decodeAs(ports), ...secret]);
  const found = frames.flatMap((frame, index) => {
    const bad = frame["_ws.malformed"] ?? frame["l2tp.avp_length.bad"] ?? [];
    const version = frame["l2tp.version"]?.[0] === "3" ? [] : ["not read as a control message of version 3"];
    const isOurs = frame["ip.src"]?.[0] === ours;
    // A port of the routers may be one that traceroute uses.
    const said = frame["_ws.expert.message"]?.filter((remark) => !remark.startsWith("Possible traceroute")) ?? [];
    const remarks = said.filter((remark) => isOurs || !EXCUSED.includes(remark));
    return [...bad, ...version, ...remarks].map((words) => `${index + 1}: ${words}`);
  });
  return frames.length === messages ? found : [`${frames.length} of ${messages} messages are read`, ...found];
}

/** How many messages of a capture have a digest that does not fit the secret, or another one. */
export async function framesWithWrongDigests(
  file: string,
  secret: "right" | "wrong",
  ports: readonly number[] = [],
): Promise<number> {
  const words = secret === "right" ? SECRET : `not ${SECRET}`;
  const options = ["-o", `l2tp.shared_secret:${words}`, "-Y", "l2tp.incorrect_digest"];
  return (await dissect(file, FIELDS, [...decodeAs(ports), ...options])).length;
}

function decodeAs(ports: readonly number[]): readonly string[] {
  return ports.flatMap((port) => ["-d", `udp.port==${port},l2tp`]);
}
