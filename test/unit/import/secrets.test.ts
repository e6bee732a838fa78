import { describe, expect, test } from "vitest";
import { shownWord } from "../../../src/import/findings.ts";
import { importText } from "./imported.ts";

const TUNNEL = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2\n";
const IDS = "ip l2tp add session tunnel_id 1 session_id 3 peer_session_id 4";

/** Whatever the cookies of these scripts begin with. */
const COOKIES = /deadbeef|0badcafe|00112233|01234567|feedface|cafef00d/i;

describe("cookies that are not where they belong", () => {
  test.each([
    ["after a word that is unknown", `${IDS} debug cookie deadbeef peer_cookie cafef00d`],
    ["after a verb that is none", "ip l2tp a s tunnel_id 1 cookie 0123456789abcdef peer_cookie feedface"],
    ["without their word", `${IDS} deadbeefcafe0001`],
    ["after a word without its value", `${IDS} cookie peer_cookie deadbeef`],
    ["of a length that none has", `${IDS} cookie deadbeef0badcafe00112233`],
    ["in a substitution", `${IDS} cookie $(echo 00112233)`],
    ["in a quoted substitution", `${IDS} cookie "$(echo 00112233)" name a`],
    ["in backquotes within quotes", `${IDS} name "x\`echo 00112233\`"`],
    ["in an option that is unknown", `O="debug deadbeefcafe0001"; ${IDS} $O`],
    ["in a variable that is one word", `O="cookie deadbeefcafe0001"; ${IDS} "$O"`],
    ["in a default that is not plain", `${IDS} \${C:-"$(echo cookie)" 0xdeadbeef}`],
    ["in a default that is guessed", `${IDS} cookie \${C:-deadbeef}`],
    ["in a command that is unknown", "keep 0123456789ABCDEF 0xFEEDFACE"],
    ["in an option of an address", "ip addr add 10.0.0.1/24 deadbeef 1 dev l2tpeth0"],
    ["in the name of a device", "D=deadbeef; ip link set $D mtu 1400"],
  ])("%s stay out of warnings and comments", (_, command) => {
    const { warnings, toml } = importText(`${TUNNEL}ip l2tp add session tunnel_id 1 session_id 1 peer_session_id 2
${command}\n`);
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings.join("\n")).not.toMatch(COOKIES);
    expect(
      toml
        .split("\n")
        .filter((line) => line.startsWith("#"))
        .join("\n"),
    ).not.toMatch(COOKIES);
  });

  test("what follows the word of a secret is left out over all its lines", () => {
    const { warnings } = importText(`${TUNNEL}keep secret "first\nhush"\n`);
    expect(warnings).toEqual([expect.stringMatching(/:2: keep secret …: unknown here$/)]);
  });

  test("words of an unquoted variable are words of the command", () => {
    const { site, warnings } = importText(
      `OPTS=" cookie deadbeefcafe0001  peer_cookie 0badcafe"\n${TUNNEL}${IDS} $OPTS name a\n`,
    );
    expect(warnings).toEqual([]);
    expect(site.tunnels[0]?.sessions).toMatchObject([
      {
        interfaceName: "a",
        static: {
          remoteCookie: new Uint8Array(Buffer.from("deadbeefcafe0001", "hex")),
          localCookie: new Uint8Array(Buffer.from("0badcafe", "hex")),
        },
      },
    ]);
  });

  test("what stands after a word that is unknown is left with it, in one warning", () => {
    const { warnings, site } = importText(`${TUNNEL}${IDS} name a debug cookie deadbeef\n`);
    expect(warnings).toEqual([expect.stringContaining('unknown here: "debug", and so what stands after it')]);
    expect(site.tunnels[0]?.sessions).toMatchObject([
      { interfaceName: "a", static: { remoteCookie: new Uint8Array() } },
    ]);
  });
});

describe("words that a reason names", () => {
  const line = { source: "s", number: 1, text: "ip link set a debug deadbeef s3cr3t! $X" };

  test.each([
    ["debug", '"debug"'],
    ["deadbeef", "a word"],
    ["s3cr3t!", "a word"],
    ["hush", "a word"],
    ["", "a word"],
  ])("%s: %s", (word, shown) => {
    expect(shownWord(word, line)).toBe(shown);
  });

  test("ids as long as a cookie are shown", () => {
    const session = "ip l2tp add session tunnel_id 12345678 session_id 87654321 peer_session_id 3";
    const { warnings } = importText(`${TUNNEL}${session}\n`);
    expect(warnings).toEqual([expect.stringContaining(`${session}: tunnel 12345678 is not there`)]);
  });
});
