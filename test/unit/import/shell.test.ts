import { describe, expect, test } from "vitest";
import { readCommands } from "../../../src/import/shell-words.ts";
import { importFixtures, importText } from "./imported.ts";

/** The words of each command, and what is not known of them. */
function commands(text: string): readonly string[] {
  return readCommands({ name: "script", text }).map(({ words, unknownVariables }) =>
    [words.join("|"), ...unknownVariables.map((name) => `?${name}`)].join(" "),
  );
}

/** The last command of a script that ends with `ip $X`. */
function valueOfX(script: string): string | undefined {
  return commands(`${script}\nip $X`).at(-1);
}

describe("words", () => {
  test.each([
    ["X='a b'; ip $X c", ["ip|a|b|c"]],
    ["X='a b'; ip \"$X\" c", ["ip|a b|c"]],
    ["X=' a '; ip p$X'q'", ["ip|p|a|q"]],
    ['X=; ip $X a "$X" b', ["ip|a||b"]],
    [`X=a; Y=$X; ip \${Y}b`, ["ip|ab"]],
    ["X='a b'; Y=$X; ip \"$Y\"", ["ip|a b"]],
    ["X='$Y'; ip $X", ["ip|$Y"]],
    ['X=a; ip "\\$X" "\\n" \\$X', ["ip|$X|\\n|$X"]],
    ["ip a{b} {c} d", ["ip|a{b}|{c}|d"]],
    ["{ ip a; }", ["ip|a"]],
    ["A=1 ip a", ["ip|a"]],
    ["export A=1 B; ip $A", ["ip|1"]],
    ["A=1; A+=2; ip $A", ["ip|$A ?$A"]],
    [`ip $@ $1 \${#A} \${A%x} $(id)`, [`ip|$@|$1|\${#A…}|\${A…}|$(…) ?$@ ?$1 ?\${#A…} ?\${A…} ?$(…)`]],
    ['ip "$(id)" "a`id`" $\'x\'', ["ip|$(…)|a$(…)|$(…) ?$(…)"]],
    ["X='a\n b' # it's\nip $X", ["ip|a|b"]],
    ['ip "a\nb" c\nip d', ["ip|a\nb|c", "ip|d"]],
    ["ip it's\nip b\n", ["ip|it's", "ip|b"]],
    ["ip $A # $B\n# ip \\\nip b", ["ip|$A ?$A", "ip|b"]],
  ])("%s", (script, expected) => {
    expect(commands(script)).toEqual(expected);
  });

  test.each([
    [`X=a; Y=\${X:-b}`, "a", 0],
    [`X=; Y=\${X:-b}`, "b", 0],
    [`X=; Y=\${X-b}`, "", 0],
    [`Y=\${X:-b}`, "b", 1],
    [`Y=\${X-b}`, "b", 1],
    [`Y=\${X:-"b c"}`, "b c", 1],
    [`Z=b; Y=\${X:-$Z}`, "b", 1],
    [`Z=b; Y=\${X:-\${Z}c}`, "bc", 1],
    [`echo \${Y:=b}`, "b", 1],
    [`X=a; Y=\${X:?must be set}`, "a", 0],
  ])("%s", (script, value, guesses) => {
    const all = readCommands({ name: "script", text: `${script}\nip "$Y"` });
    expect(all.at(-1)?.words).toEqual(["ip", value]);
    expect(all.flatMap(({ remarks }) => remarks)).toHaveLength(guesses);
  });

  test.each([`Y=\${X:?must be set}`, `X=$(id); Y=\${X:-b}`, `Y=\${X:-$(id)}`, `Y=\${X:-$Z}`, `Y=\${X:+b}`, "read Y"])(
    "not known: %s",
    (script) => {
      expect(commands(`${script}\nip $Y`).at(-1)).toBe("ip|$Y ?$Y");
    },
  );
});

describe("branches and loops", () => {
  test.each([
    ["if a; then X=1; else X=2; fi", "?"],
    ["if a; then X=1; else X=1; fi", "1"],
    ["X=0\nif a; then\n X=1\nfi", "?"],
    ["X=0; if a; then X=1; else X=1; fi", "1"],
    ["X=0; if a; then X=1; elif b; then X=2; fi; X=3", "3"],
    ["if a; then X=1; fi", "1"],
    ["if a; then X=$(id); else X=1; fi", "?"],
    ["case $a in\n b) X=1 ;;\n c|d)\n X=2 ;;\nesac", "?"],
    ["X=0; case $a in b) X=1;; *) X=1;; esac", "1"],
    ["X=0; case $a in b) X=1;; *) X=1; esac", "1"],
    ["X=0; case $a in b|c) X=1;; esac", "?"],
    ["X=0; case $a in b) if c; then X=1; fi;; esac", "?"],
    ["X=0; a && X=1", "?"],
    ["X=1; a || X=1", "1"],
    ["a && X=1", "1"],
    ["X=0; a || true; X=1", "1"],
    ["X=1; while a; do X=$((X+1)); done", "?"],
    ["X=1; while a; do while b; do Y=1; done; X=2; done", "?"],
    ["X=1; while a; do Y=2; done; Y=3", "1"],
    ["X=1; while read X; do a; done", "?"],
    ["X=1; while n=1; X=$((X+1)); do a; done", "?"],
    ["while X=1; do a; done", "?"],
    ["if X=1; then a; fi", "?"],
    ["for ((X=0; X<3; X++)); do a; done", "?"],
    ["X=0; a && { X=1; b; }", "?"],
    ["X=0; { X=1; }", "1"],
    ["X=0; f() {\n X=1\n}", "?"],
    ["f() {\n X=1\n}", "1"],
    ["X=0; a &&\nX=1", "?"],
    ["X=0; a ||\n\n {\n X=1\n}", "?"],
    ["for X in 1 2; do a; done", "?"],
  ])("%s: X is %s", (script, value) => {
    expect(valueOfX(script)).toBe(value === "?" ? "ip|$X ?$X" : `ip|${value}`);
  });

  test("within a branch its own value holds, within a loop none that the loop changes", () => {
    expect(commands("if a; then X=1; ip $X; else X=2; ip $X; fi")).toEqual(["if|a", "ip|1", "ip|2"]);
    expect(commands("X=1; while a; do ip $X; X=2; ip $X; done")).toEqual(["while|a", "ip|$X ?$X", "ip|2"]);
    expect(commands("for ((X=0; X<3; X++)); do ip $X; done").at(-1)).toBe("ip|$X ?$X");
    expect(commands("X=0; while X=$((X+1)); do ip $X; done").at(-1)).toBe("ip|$X ?$X");
    expect(commands("X=0; while read X; do ip $X; done").at(-1)).toBe("ip|$X ?$X");
  });

  test("patterns of a case are no commands", () => {
    expect(commands("case a in\nstart|stop)\n ip a\n;;\n*)\n ip b\nesac\nip c")).toEqual([
      "case|a|in",
      "ip|a",
      "ip|b",
      "ip|c",
    ]);
  });
});

describe("a script for two sites", () => {
  const { site, warnings } = importFixtures("two-sites.sh");

  test("takes neither branch, nothing of a here-document, and no session of the loop", () => {
    expect(site.tunnels).toMatchObject([
      { static: { localTunnelId: 7 }, sessions: [{ name: "last", interfaceName: "last", mtu: 1400 }] },
    ]);
  });

  test("and says so", () => {
    expect(warnings).toEqual([
      expect.stringContaining(":3: "),
      expect.stringMatching(/:8: ip l2tp add tunnel .*: no plain value here: \$TID, \$PTID, \$LOCAL, \$REMOTE$/),
      expect.stringMatching(/:10: ssh root@peer: the here-document below it is not read$/),
      expect.stringMatching(/:10: ssh root@peer: unknown here$/),
      expect.stringContaining(":14: while"),
      expect.stringMatching(/:15: ip l2tp add session .*: no plain value here: \$n$/),
    ]);
  });

  test("without its end a here-document reaches to the end of the script", () => {
    expect(commands("cat <<EOF\nip a\n EOF\nip b")).toEqual(["cat"]);
    expect(commands("cat <<A <<B\nip a\nA\nip b\nB\nip c\ncat <<<x\nip d")).toEqual(["cat", "ip|c", "cat", "ip|d"]);
  });
});

describe("values that are lost are told", () => {
  const TUNNEL = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip remote 192.0.2.2 local";
  const SESSION = "ip l2tp add session tunnel_id 1 session_id 3 peer_session_id 4 name";

  test("defaults are used, and said to be guesses", () => {
    const { site, warnings } = importText(
      `${TUNNEL} \${LOCAL:-192.0.2.1}\n${SESSION} \${IF:-l2tpeth7} l2spec_type none\n`,
    );
    expect(site.tunnels).toMatchObject([
      { local: "192.0.2.1", sessions: [{ name: "l2tpeth7", interfaceName: "l2tpeth7", l2Sublayer: "none" }] },
    ]);
    expect(warnings).toEqual([
      expect.stringContaining("guessed: LOCAL has its default"),
      expect.stringContaining("guessed: IF has its default"),
    ]);
  });

  test.each(["gateway.example", "192.0.2", "224.0.0.1"])("local %s", (local) => {
    const { toml, warnings } = importText(`${TUNNEL} ${local}\n`);
    expect(toml).not.toMatch(/^local +=/m);
    expect(warnings).toEqual([expect.stringContaining("its local is no address")]);
  });

  test.each(["any", "0.0.0.0", "::"])("local %s says nothing", (local) => {
    expect(importText(`${TUNNEL} ${local}\n`).warnings).toEqual([]);
  });

  test.each(['"l2 a"', "an-interface-with-a-long-name", "a/b"])("name %s", (name) => {
    const { toml, warnings } = importText(`${TUNNEL} any\n${SESSION} ${name}\n`);
    expect(toml).toContain(".session.session-3]");
    expect(toml).not.toMatch(/^interface +=/m);
    expect(warnings).toEqual([expect.stringContaining("no interface can have its name")]);
  });

  test('a session may be called "tunnel"', () => {
    const { site, warnings } = importText(`${TUNNEL} any\n${SESSION} tunnel l2spec_type none\n`);
    expect(site.tunnels[0]?.sessions).toMatchObject([{ interfaceName: "tunnel", l2Sublayer: "none" }]);
    expect(warnings).toEqual([]);
  });

  test("neither tunnel nor session", () => {
    expect(importText(`${TUNNEL} any\nip l2tp add tunnel_id 7\n`).warnings).toEqual([
      expect.stringContaining("neither a tunnel nor a session"),
    ]);
  });
});

describe("the file of ip -batch", () => {
  test("has the objects of ip for commands", () => {
    const { site, warnings } = importFixtures("ip-batch.txt");
    expect(warnings).toEqual([]);
    expect(site.tunnels[0]?.sessions).toMatchObject([
      {
        interfaceName: "l2a",
        mtu: 1400,
        addresses: ["10.0.0.1/24", "2001:db8:1::1/64"],
        routes: ["10.2.0.0/16 via 10.0.0.2"],
      },
    ]);
  });

  test.each(["ip -batch tunnels", "ip -force -b - < tunnels"])("has to be given too: %s", (command) => {
    const tunnel = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip remote 192.0.2.2";
    expect(importText(`${tunnel}\n${command}\n`).warnings).toEqual([expect.stringContaining("give their file too")]);
  });
});
