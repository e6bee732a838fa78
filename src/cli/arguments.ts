import { parseArgs } from "node:util";
import { didYouMean } from "../config/did-you-mean.ts";
import { SHOW_SUBJECTS, type ShowSubject } from "../daemon/admin-protocol.ts";
import { IMPORT_KINDS, type ImportKind } from "../import/kinds.ts";

/** Where the daemon is found: `socket` goes before the admin_socket of the file `conf`. */
export interface DaemonAddress {
  readonly conf: string | undefined;
  readonly socket: string | undefined;
}

export type Command =
  | { readonly command: "help" | "version" }
  | RunCommand
  | { readonly command: "check"; readonly conf: string }
  | DoctorCommand
  | ImportCommand
  | ReplayCommand
  | ShowCommand
  | OpenCloseCommand
  | ReloadCommand;

export interface RunCommand {
  readonly command: "run";
  readonly conf: string;
  /** Where every input is recorded. */
  readonly record: string | undefined;
}

export interface DoctorCommand {
  readonly command: "doctor";
  /** `undefined`: the machine alone is looked at. */
  readonly conf: string | undefined;
  readonly json: boolean;
}

export interface ImportCommand {
  readonly command: "import";
  /** "-" is standard input. */
  readonly files: readonly string[];
  /** What the files are; `undefined`: each is recognised. */
  readonly from: ImportKind | undefined;
}

export interface ReplayCommand {
  readonly command: "replay";
  readonly file: string;
  readonly json: boolean;
}

export interface ShowCommand {
  readonly command: "show";
  readonly what: ShowSubject | undefined;
  readonly name: string | undefined;
  readonly json: boolean;
  readonly daemon: DaemonAddress;
}

export interface OpenCloseCommand {
  readonly command: "open" | "close";
  readonly tunnel: string;
  readonly session: string | undefined;
  readonly daemon: DaemonAddress;
}

export interface ReloadCommand {
  readonly command: "reload";
  /** Only tell what it would do. */
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly daemon: DaemonAddress;
}

/** Wrong usage: one sentence that names the word. */
export interface WrongUsage {
  readonly wrong: string;
}

const OPTIONS = {
  conf: { type: "string", short: "c" },
  record: { type: "string" },
  socket: { type: "string" },
  from: { type: "string" },
  json: { type: "boolean" },
  "dry-run": { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

type OptionName = keyof typeof OPTIONS;

const COMMANDS = ["check", "show", "open", "close", "reload", "replay", "doctor", "import"] as const;
type CommandName = (typeof COMMANDS)[number] | "run";

/** Which options mean something to which command. */
const TAKES: Readonly<Record<CommandName, readonly OptionName[]>> = {
  run: ["conf", "record"],
  check: ["conf"],
  show: ["conf", "socket", "json"],
  open: ["conf", "socket"],
  close: ["conf", "socket"],
  replay: ["json"],
  reload: ["conf", "socket", "json", "dry-run"],
  doctor: ["conf", "json"],
  import: ["from"],
};

export const USAGE = `Usage:
  l2tpv3-lcc --conf FILE            run the daemon in the foreground
  l2tpv3-lcc check --conf FILE      check a configuration file
  l2tpv3-lcc show [tunnels|sessions|counters] [NAME] [--json]
                                    tell what is up; NAME: a tunnel, a session
                                    or TUNNEL/SESSION
  l2tpv3-lcc open TUNNEL[/SESSION]  bring up what was closed, or try again now
  l2tpv3-lcc close TUNNEL[/SESSION] take down, until it is opened again
  l2tpv3-lcc reload [--dry-run] [--json]
                                    read the configuration again, change what
                                    differs and nothing else, and tell it;
                                    --dry-run: only tell it
  l2tpv3-lcc doctor [--conf FILE] [--json]
                                    look for what keeps it from working, on
                                    this machine and on the way to each peer
  l2tpv3-lcc import [--from KIND] FILE...
                                    print a configuration made from what
                                    ip -json l2tp show prints, from a script
                                    with ip l2tp commands, or from that of a
                                    Cisco router at the other end; -: standard
                                    input
  l2tpv3-lcc replay FILE [--json]   step through a recording of the daemon

Options:
  -c, --conf FILE     the configuration; tells the other commands the socket
      --socket PATH   the daemon's admin socket
      --json          show, doctor, reload, replay: JSON instead of words
      --record FILE   the daemon: write every input to a new file, without
                      secrets, for a bug report
      --from KIND     import: ip-json, ip-text, ip-commands or cisco, where
                      it is not recognised
  -h, --help          this text
  -V, --version       the version

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
`;

interface Words {
  readonly options: ReadonlyMap<OptionName, string | true>;
  readonly positionals: readonly string[];
}

export function parseArguments(argv: readonly string[]): Command | WrongUsage {
  const words = split(argv);
  if ("wrong" in words) return words;
  const { options, positionals } = words;
  if (options.has("help")) return { command: "help" };
  if (options.has("version")) return { command: "version" };
  const [word, ...operands] = positionals;
  const command = word === undefined ? "run" : COMMANDS.find((each) => each === word);
  if (command === undefined) return { wrong: `unknown command "${word}"${didYouMean(word ?? "", COMMANDS)}` };
  for (const option of options.keys()) {
    if (!TAKES[command].includes(option)) return { wrong: `--${option} means nothing to ${command}` };
  }
  return build(command, operands, options);
}

function build(command: CommandName, operands: readonly string[], options: Words["options"]): Command | WrongUsage {
  switch (command) {
    case "run":
    case "check":
      return buildWithFile(command, operands, options);
    case "replay":
      return buildReplay(operands, options);
    case "doctor":
      return buildDoctor(operands, options);
    case "import":
      return buildImport(operands, options);
    case "show":
      return buildShow(operands, options);
    case "open":
    case "close":
      return buildOpenClose(command, operands, options);
    case "reload":
      return operands[0] === undefined
        ? { command, dryRun: options.has("dry-run"), json: options.has("json"), daemon: addressOf(options) }
        : { wrong: `unexpected word "${operands[0]}"` };
  }
}

/** Options and other words. Unknown, repeated and incomplete options are wrong. */
function split(argv: readonly string[]): Words | WrongUsage {
  const { tokens } = parseArgs({ args: [...argv], options: OPTIONS, strict: false, tokens: true });
  const options = new Map<OptionName, string | true>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const wrong = take(options, token.name, token.rawName, token.value);
    if (wrong !== undefined) return { wrong };
  }
  return { options, positionals };
}

const NEEDS: Readonly<Record<string, string>> = { socket: "a path", from: `a kind: ${IMPORT_KINDS.join(", ")}` };

function take(
  options: Map<OptionName, string | true>,
  name: string,
  rawName: string,
  value: string | undefined,
): string | undefined {
  if (!isOption(name)) {
    const long = rawName.startsWith("--")
      ? didYouMean(
          rawName,
          Object.keys(OPTIONS).map((each) => `--${each}`),
        )
      : "";
    return `unknown option ${rawName}${long}`;
  }
  if (options.has(name)) return `--${name} is given twice`;
  if (OPTIONS[name].type === "boolean") {
    options.set(name, true);
    return value === undefined ? undefined : `--${name} takes no value`;
  }
  if (value === undefined || value === "") return `--${name} needs ${NEEDS[name] ?? "a file"}`;
  options.set(name, value);
  return undefined;
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

function buildWithFile(
  command: "run" | "check",
  [surplus]: readonly string[],
  options: Words["options"],
): Command | WrongUsage {
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  const conf = options.get("conf");
  if (typeof conf !== "string") {
    return { wrong: command === "run" ? "a command or --conf FILE is missing" : "check needs --conf FILE" };
  }
  const record = options.get("record");
  return command === "check" ? { command, conf } : { command, conf, record: record === true ? undefined : record };
}

function buildDoctor([surplus]: readonly string[], options: Words["options"]): DoctorCommand | WrongUsage {
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  const conf = options.get("conf");
  return { command: "doctor", conf: typeof conf === "string" ? conf : undefined, json: options.has("json") };
}

function buildImport(files: readonly string[], options: Words["options"]): ImportCommand | WrongUsage {
  const given = options.get("from");
  const from = IMPORT_KINDS.find((kind) => kind === given);
  if (typeof given === "string" && from === undefined) {
    return { wrong: `--from ${given}: allowed: ${IMPORT_KINDS.join(", ")}${didYouMean(given, IMPORT_KINDS)}` };
  }
  if (files.length === 0) return { wrong: "import needs a FILE, or - for standard input" };
  if (new Set(files).size < files.length) return { wrong: "import has the same FILE twice" };
  return { command: "import", files, from };
}

function buildReplay([file, surplus]: readonly string[], options: Words["options"]): ReplayCommand | WrongUsage {
  if (file === undefined) return { wrong: "replay needs the FILE of a recording" };
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  return { command: "replay", file, json: options.has("json") };
}

function buildShow(operands: readonly string[], options: Words["options"]): ShowCommand | WrongUsage {
  const what = SHOW_SUBJECTS.find((subject) => subject === operands[0]);
  const [name, surplus] = what === undefined ? operands : operands.slice(1);
  if (surplus !== undefined) {
    const hint = what === undefined ? didYouMean(name ?? "", SHOW_SUBJECTS) : "";
    return { wrong: `unexpected word "${surplus}"${hint === "" ? "" : `, "${name}" is no subject${hint}`}` };
  }
  return { command: "show", what, name, json: options.has("json"), daemon: addressOf(options) };
}

function buildOpenClose(
  command: "open" | "close",
  [target, surplus]: readonly string[],
  options: Words["options"],
): OpenCloseCommand | WrongUsage {
  if (target === undefined) return { wrong: `${command} needs TUNNEL or TUNNEL/SESSION` };
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  const [tunnel = "", session, more] = target.split("/");
  if (tunnel === "" || session === "" || more !== undefined) {
    return { wrong: `"${target}" is neither TUNNEL nor TUNNEL/SESSION` };
  }
  return { command, tunnel, session, daemon: addressOf(options) };
}

function addressOf(options: Words["options"]): DaemonAddress {
  const [conf, socket] = [options.get("conf"), options.get("socket")];
  return {
    conf: typeof conf === "string" ? conf : undefined,
    socket: typeof socket === "string" ? socket : undefined,
  };
}
