import { SHOW_IN_WORDS, SHOW_SUBJECTS } from "../daemon/admin-protocol.ts";
import { IMPORT_KINDS } from "../import/kinds.ts";

/** What the shell may offer for a word. Literals stand for themselves, "targets" for TUNNEL and TUNNEL/SESSION. */
export type Completion = "files" | "tunnels" | "targets" | readonly string[];

export interface OptionDefinition {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What a value stands for in texts, what is said where it is missing, and what the shell offers. */
  readonly value?: { readonly word: string; readonly needs: string; readonly completion: Completion };
  /** For the usage: less than two lines. */
  readonly summary: string;
  /** For the manual, beyond the summary. */
  readonly more?: string;
}

const FILE = { word: "FILE", needs: "a file", completion: "files" } as const;

export const OPTIONS = {
  conf: {
    type: "string",
    short: "c",
    value: FILE,
    summary: "the configuration; tells the other commands the socket",
  },
  socket: {
    type: "string",
    value: { word: "PATH", needs: "a path", completion: "files" },
    summary: "the daemon's admin socket",
    more: "It goes before the admin_socket of the file that --conf names.",
  },
  json: { type: "boolean", summary: "JSON instead of words, for programs" },
  record: {
    type: "string",
    value: FILE,
    summary: "the daemon: write every input to a new file, without secrets, for a bug report",
  },
  secrets: {
    type: "boolean",
    summary: "trace: show hidden values, cookies, nonces, digests and challenges",
    more: "The shared secret is never shown.",
  },
  pcap: {
    type: "string",
    value: FILE,
    summary: "trace: write the messages to a new file for Wireshark, too",
    more: "Its owner alone can read it. What is not shown without --secrets is zeros there.",
  },
  from: {
    type: "string",
    value: { word: "KIND", needs: `a kind: ${IMPORT_KINDS.join(", ")}`, completion: IMPORT_KINDS },
    summary: "import: ip-json, ip-text, ip-commands or cisco, where it is not recognised",
  },
  "dry-run": { type: "boolean", summary: "reload: only tell what it would do" },
  help: { type: "boolean", short: "h", summary: "this text" },
  version: { type: "boolean", short: "V", summary: "the version" },
} as const satisfies Readonly<Record<string, OptionDefinition>>;

export type OptionName = keyof typeof OPTIONS;

export const SHELLS = ["bash", "zsh"] as const;

export interface CommandDefinition {
  /** What stands behind the command's name, options included: each is a line of the usage. */
  readonly forms: readonly string[];
  readonly options: readonly OptionName[];
  /** By the place of the word; the last one serves for those that follow, too, where `repeats`. */
  readonly operands: readonly Completion[];
  readonly repeats?: true;
  /** For the usage: a few words. */
  readonly summary: string;
  /** Paragraphs for the manual. */
  readonly manual: readonly string[];
}

/** Every command; "run" is what happens without one. The usage, the completion and the manual are made from this. */
export const COMMANDS = {
  run: {
    forms: ["--conf FILE [--record FILE]"],
    options: ["conf", "record"],
    operands: [],
    summary: "run the daemon in the foreground",
    manual: [
      "Runs the daemon. The process that is started is the daemon and stays in the foreground; its log goes to standard output, as JSON lines, or in words where that is a terminal. SIGTERM and SIGINT close every control connection and end it.",
    ],
  },
  check: {
    forms: ["--conf FILE"],
    options: ["conf"],
    operands: [],
    summary: "check a configuration file",
    manual: [
      "Says whether the configuration is good. Each error is one line that names the file, the line, the key, what was found and what is allowed. Nothing else is touched.",
    ],
  },
  show: {
    forms: [`[${SHOW_SUBJECTS.join("|")}] [NAME] [--json]`, `${SHOW_IN_WORDS.join("|")} NAME [--json]`],
    options: ["conf", "socket", "json"],
    operands: [[...SHOW_SUBJECTS, ...SHOW_IN_WORDS], "targets"],
    summary: "tell what is up, in tables; of one tunnel or session, in full words",
    manual: [
      "Tells what is up and, in words, why something is not. NAME is a tunnel, a session, or TUNNEL/SESSION. See l2tpv3-lcc-show(8).",
    ],
  },
  watch: {
    forms: [""],
    options: ["conf", "socket"],
    operands: [],
    summary: "show what is up, and what happens, until q or Ctrl-C",
    manual: [
      "Shows the table of show and the last events, and draws both anew every second and whenever something happens. q or Ctrl-C ends it. Through a pipe it prints the table once, and then a line for each event. Exit code 1 where the daemon ended before.",
    ],
  },
  events: {
    forms: ["[--json]"],
    options: ["conf", "socket", "json"],
    operands: [],
    summary: "print what happens, a line each, until Ctrl-C",
    manual: [
      "Prints what happens from now on, a line each: tunnel-up, tunnel-down, session-up, session-down and circuit-status, and what the daemon logs with level info or above. With --json each line is an object. Whoever reads too slowly is cut off. Exit code 1 where the daemon ended the stream.",
    ],
  },
  trace: {
    forms: ["TUNNEL [--secrets] [--json] [--pcap FILE]"],
    options: ["conf", "socket", "secrets", "json", "pcap"],
    operands: ["tunnels"],
    summary: "print the control messages of a tunnel as they pass, until Ctrl-C",
    manual: [
      "Prints the control messages of a tunnel as they pass, whether they are genuine or not: time, direction, message, endpoints, the receiver's Control Connection ID, Ns and Nr, and for each AVP its M and H bits, name, number and value. Values that are hidden on the wire are (hidden), and cookies, nonces, digests and challenges are (not shown), unless --secrets is given.",
      "--pcap writes the same messages to a new file that Wireshark opens. IP and UDP headers are made up from the endpoints.",
    ],
  },
  open: {
    forms: ["TUNNEL[/SESSION]"],
    options: ["conf", "socket"],
    operands: ["targets"],
    summary: "bring up what was closed, or try again now",
    manual: ["Opens a tunnel or session that was closed, or tries again at once without waiting for the next attempt."],
  },
  close: {
    forms: ["TUNNEL[/SESSION]"],
    options: ["conf", "socket"],
    operands: ["targets"],
    summary: "take down, until it is opened again",
    manual: [
      "Takes a tunnel down with a StopCCN, or a session with a CDN (result 3). It stays down until it is opened again.",
    ],
  },
  reload: {
    forms: ["[--dry-run] [--json]"],
    options: ["conf", "socket", "json", "dry-run"],
    operands: [],
    summary: "read the configuration again, change what differs and nothing else, and tell it",
    manual: [
      "Makes the daemon read its configuration again and do what differs, and nothing else: what is as it was loses no frame and no message. A line tells each change. A file with an error changes nothing. With --dry-run nothing is changed, the lines tell what would be. Exit code 1 where something was not applied: the file is wrong, or a key of [lcce] needs a restart.",
      "With --json one object: dry_run, problems and warnings (sentences), and changes, each with path, keys, action (add, remove, anew, in-place, next or restart), text, and where they apply tunnel and session.",
    ],
  },
  doctor: {
    forms: ["[--conf FILE] [--json]"],
    options: ["conf", "json"],
    operands: [],
    summary: "look for what keeps it from working, on this machine and on the way to each peer",
    manual: [
      "Looks at the kernel, capabilities, ports, interfaces, firewall, DNS, routes, MTU, IPsec and secret files, and says of each what to do about it. It changes nothing. Exit code 1 where something is an error.",
    ],
  },
  import: {
    forms: ["[--from KIND] FILE..."],
    options: ["from"],
    operands: ["files"],
    repeats: true,
    summary:
      "print a configuration made from what ip -json l2tp show prints, from a script with ip l2tp commands, or from that of a Cisco router at the other end; -: standard input",
    manual: [
      "Prints a configuration made from each FILE: what ip -json l2tp show or ip l2tp show prints, a script with ip l2tp commands, or the configuration of the Cisco router at the other end. What has no equivalent is named on standard error.",
    ],
  },
  completion: {
    forms: [SHELLS.join("|")],
    options: [],
    operands: [SHELLS],
    summary: "print a script that teaches the shell these commands",
    manual: [
      "Prints a script for the shell that completes commands, options, and the names of tunnels and sessions. For bash: source <(l2tpv3-lcc completion bash). For zsh: l2tpv3-lcc completion zsh > DIRECTORY/_l2tpv3-lcc, in a directory of fpath.",
    ],
  },
  replay: {
    forms: ["FILE [--json]"],
    options: ["json"],
    operands: ["files"],
    summary: "step through a recording of the daemon",
    manual: ["Takes the control plane through a recording again and tells what happens, without a network."],
  },
} as const satisfies Readonly<Record<string, CommandDefinition>>;

export type CommandName = keyof typeof COMMANDS;

/** As they may be written: "run" has no word of its own. */
export const COMMAND_WORDS = Object.keys(COMMANDS).filter((name) => name !== "run") as Exclude<CommandName, "run">[];

export function definitionOf(command: CommandName): CommandDefinition {
  return COMMANDS[command];
}

export function optionDefinition(name: OptionName): OptionDefinition {
  return OPTIONS[name];
}

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];
