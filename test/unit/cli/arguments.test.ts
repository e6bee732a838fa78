import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { COMMAND_WORDS, OPTION_NAMES } from "../../../src/cli/command-table.ts";
import { usage } from "../../../src/cli/usage.ts";

const words = (line: string): string[] => line.split(" ").filter((word) => word !== "");
const anywhere = { conf: undefined, socket: undefined };

describe("commands", () => {
  const ROWS: readonly (readonly [line: string, command: object])[] = [
    ["--conf site.toml", { command: "run", conf: "site.toml", record: undefined }],
    ["--conf=site.toml", { command: "run", conf: "site.toml", record: undefined }],
    ["-c site.toml", { command: "run", conf: "site.toml", record: undefined }],
    ["--conf a --record b", { command: "run", conf: "a", record: "b" }],
    ["replay a", { command: "replay", file: "a", json: false }],
    ["replay --json a", { command: "replay", file: "a", json: true }],
    ["check --conf a", { command: "check", conf: "a" }],
    ["--conf a check", { command: "check", conf: "a" }],
    ["show", { command: "show", what: undefined, name: undefined, json: false, daemon: anywhere }],
    [
      "--conf a show sessions paris --json",
      {
        command: "show",
        what: "sessions",
        name: "paris",
        json: true,
        daemon: { conf: "a", socket: undefined },
      },
    ],
    [
      "show --socket /s paris/lan42",
      {
        command: "show",
        what: undefined,
        name: "paris/lan42",
        json: false,
        daemon: { conf: undefined, socket: "/s" },
      },
    ],
    ["show tunnel paris --json", { command: "show", what: "tunnel", name: "paris", json: true, daemon: anywhere }],
    [
      "show session paris/lan42",
      { command: "show", what: "session", name: "paris/lan42", json: false, daemon: anywhere },
    ],
    ["show counters", { command: "show", what: "counters", name: undefined, json: false, daemon: anywhere }],
    ["show tunnels tunnels", { command: "show", what: "tunnels", name: "tunnels", json: false, daemon: anywhere }],
    ["show -- --json", { command: "show", what: undefined, name: "--json", json: false, daemon: anywhere }],
    ["open paris", { command: "open", tunnel: "paris", session: undefined, daemon: anywhere }],
    [
      "close paris/lan42 --conf a --socket /s",
      { command: "close", tunnel: "paris", session: "lan42", daemon: { conf: "a", socket: "/s" } },
    ],
    ["reload", { command: "reload", dryRun: false, json: false, daemon: anywhere }],
    ["reload --dry-run --json", { command: "reload", dryRun: true, json: true, daemon: anywhere }],
    ["reload --conf a", { command: "reload", dryRun: false, json: false, daemon: { conf: "a", socket: undefined } }],
    [
      "trace paris --secrets --pcap f",
      { command: "trace", tunnel: "paris", secrets: true, json: false, pcap: "f", daemon: anywhere },
    ],
    ["completion zsh", { command: "completion", shell: "zsh" }],
    ["names targets --conf a", { command: "names", kind: "targets", daemon: { conf: "a", socket: undefined } }],
    ["watch --conf a", { command: "watch", daemon: { conf: "a", socket: undefined } }],
    ["events --json", { command: "events", json: true, daemon: anywhere }],
    ["doctor", { command: "doctor", conf: undefined, json: false }],
    ["doctor --conf a --json", { command: "doctor", conf: "a", json: true }],
    ["import a", { command: "import", files: ["a"], from: undefined }],
    ["import --from cisco a -", { command: "import", files: ["a", "-"], from: "cisco" }],
    ["--help", { command: "help" }],
    ["show -h", { command: "help" }],
    ["--version", { command: "version" }],
    ["-V", { command: "version" }],
  ];
  test.each(ROWS)("%s", (line, command) => {
    expect(parseArguments(words(line))).toEqual(command);
  });
});

describe("wrong usage", () => {
  const ROWS: readonly (readonly [line: string, wrong: string])[] = [
    ["doctor paris", 'unexpected word "paris"'],
    ["doctor --socket /s", "--socket means nothing to doctor"],
    ["", "a command or --conf FILE is missing"],
    ["check", "check needs --conf FILE"],
    ["check --conf", "--conf needs a file"],
    ["check --conf=", "--conf needs a file"],
    ["show --socket", "--socket needs a path"],
    ["check site.toml --conf a", 'unexpected word "site.toml"'],
    ["shwo", 'unknown command "shwo", did you mean "show"?'],
    ["site.toml", 'unknown command "site.toml"'],
    ["--cnf a", 'unknown option --cnf, did you mean "--conf"?'],
    ["--config a", 'unknown option --config, did you mean "--conf"?'],
    ["--xyzzy", "unknown option --xyzzy"],
    ["-x", "unknown option -x"],
    ["show --json=yes", "--json takes no value"],
    ["--conf a --conf b", "--conf is given twice"],
    ["--conf a --json", "--json means nothing to run"],
    ["check --conf a --socket /s", "--socket means nothing to check"],
    ["--record b", "a command or --conf FILE is missing"],
    ["--conf a --record", "--record needs a file"],
    ["--conf a --record=", "--record needs a file"],
    ["--conf a --record b --record c", "--record is given twice"],
    ["check --conf a --record b", "--record means nothing to check"],
    ["show --record b", "--record means nothing to show"],
    ["replay", "replay needs the FILE of a recording"],
    ["replay a b", 'unexpected word "b"'],
    ["replay a --conf b", "--conf means nothing to replay"],
    ["open paris --json", "--json means nothing to open"],
    ["open", "open needs TUNNEL or TUNNEL/SESSION"],
    ["close a b", 'unexpected word "b"'],
    ["close a/", '"a/" is neither TUNNEL nor TUNNEL/SESSION'],
    ["close /a", '"/a" is neither TUNNEL nor TUNNEL/SESSION'],
    ["close a/b/c", '"a/b/c" is neither TUNNEL nor TUNNEL/SESSION'],
    ["reload paris", 'unexpected word "paris"'],
    ["show --dry-run", "--dry-run means nothing to show"],
    ["completion", "completion needs a shell: bash, zsh"],
    ["completion fish", "completion needs a shell: bash, zsh"],
    ["completion bash zsh", 'unexpected word "zsh"'],
    ["names", "names needs a kind: tunnels, targets"],
    ["trace", "trace needs a TUNNEL"],
    ["trace a b", 'unexpected word "b"'],
    ["trace a --pcap", "--pcap needs a file"],
    ["show --secrets", "--secrets means nothing to show"],
    ["watch --json", "--json means nothing to watch"],
    ["events paris", 'unexpected word "paris"'],
    ["show sesions paris", 'unexpected word "paris", "sesions" is no subject, did you mean "sessions"?'],
    ["import", "import needs a FILE, or - for standard input"],
    ["import a a", "import has the same FILE twice"],
    ["import --from csico a", '--from csico: allowed: ip-json, ip-text, cisco, ip-commands, did you mean "cisco"?'],
    ["import --from", "--from needs a kind: ip-json, ip-text, cisco, ip-commands"],
    ["import --conf b a", "--conf means nothing to import"],
    ["show --from cisco", "--from means nothing to show"],
    ["show tunnel", "show tunnel needs a TUNNEL"],
    ["show session", "show session needs a SESSION or TUNNEL/SESSION"],
    ["show sessions a b", 'unexpected word "b"'],
  ];
  test.each(ROWS)("%s: %s", (line, wrong) => {
    expect(parseArguments(words(line))).toEqual({ wrong });
  });
});

test("the usage fits a terminal and names every command and option", () => {
  const text = usage();
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  for (const command of COMMAND_WORDS) expect(text).toMatch(new RegExp(`^  l2tpv3-lcc ${command}\\b`, "m"));
  for (const option of OPTION_NAMES) expect(text).toMatch(new RegExp(`^ {2,6}(-\\w, )?--${option}\\b`, "m"));
  expect(text).toContain("  l2tpv3-lcc --conf FILE ");
});
