import { parseArgs } from "node:util";
import { didYouMean } from "../config/did-you-mean.ts";
import { SHOW_IN_WORDS, SHOW_SUBJECTS, type ShowSubject } from "../daemon/admin-protocol.ts";
import { IMPORT_KINDS, type ImportKind } from "../import/kinds.ts";
import {
  COMMAND_WORDS,
  type CommandName,
  definitionOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  optionDefinition,
  SHELLS,
} from "./command-table.ts";

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
  | ReloadCommand
  | WatchCommand
  | EventsCommand
  | TraceCommand
  | CompletionCommand
  | NamesCommand;

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
  /** "tunnel" and "session": that one, which `name` names, in words. */
  readonly what: ShowSubject | (typeof SHOW_IN_WORDS)[number] | undefined;
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

export interface WatchCommand {
  readonly command: "watch";
  readonly daemon: DaemonAddress;
}

export interface EventsCommand {
  readonly command: "events";
  readonly json: boolean;
  readonly daemon: DaemonAddress;
}

export interface TraceCommand {
  readonly command: "trace";
  readonly tunnel: string;
  /** Hidden values, cookies, nonces, digests and challenges are shown. */
  readonly secrets: boolean;
  readonly json: boolean;
  /** A new file. */
  readonly pcap: string | undefined;
  readonly daemon: DaemonAddress;
}

export interface CompletionCommand {
  readonly command: "completion";
  readonly shell: (typeof SHELLS)[number];
}

/** Of the completion's own scripts. */
export interface NamesCommand {
  readonly command: "names";
  /** "targets": sessions too, as TUNNEL/SESSION. */
  readonly kind: "tunnels" | "targets";
  readonly daemon: DaemonAddress;
}

/** Wrong usage: one sentence that names the word. */
export interface WrongUsage {
  readonly wrong: string;
}

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
  if (word === "names") return buildNames(operands, options);
  const command = word === undefined ? "run" : COMMAND_WORDS.find((each) => each === word);
  if (command === undefined) return { wrong: `unknown command "${word}"${didYouMean(word ?? "", COMMAND_WORDS)}` };
  for (const option of options.keys()) {
    if (!definitionOf(command).options.includes(option)) return { wrong: `--${option} means nothing to ${command}` };
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
    case "watch":
    case "events":
      return buildWithoutOperands(command, operands, options);
    case "completion":
      return buildCompletion(operands);
    case "trace":
      return buildTrace(operands, options);
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
          OPTION_NAMES.map((each) => `--${each}`),
        )
      : "";
    return `unknown option ${rawName}${long}`;
  }
  if (options.has(name)) return `--${name} is given twice`;
  if (OPTIONS[name].type === "boolean") {
    options.set(name, true);
    return value === undefined ? undefined : `--${name} takes no value`;
  }
  if (value === undefined || value === "") return `--${name} needs ${optionDefinition(name).value?.needs}`;
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

function buildWithoutOperands(
  command: "reload" | "watch" | "events",
  [surplus]: readonly string[],
  options: Words["options"],
): Command | WrongUsage {
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  const [daemon, json] = [addressOf(options), options.has("json")];
  if (command === "reload") return { command, dryRun: options.has("dry-run"), json, daemon };
  return command === "events" ? { command, json, daemon } : { command, daemon };
}

function buildTrace([tunnel, surplus]: readonly string[], options: Words["options"]): TraceCommand | WrongUsage {
  if (tunnel === undefined) return { wrong: "trace needs a TUNNEL" };
  if (surplus !== undefined) return { wrong: `unexpected word "${surplus}"` };
  const pcap = options.get("pcap");
  return {
    command: "trace",
    tunnel,
    secrets: options.has("secrets"),
    json: options.has("json"),
    pcap: typeof pcap === "string" ? pcap : undefined,
    daemon: addressOf(options),
  };
}

function buildCompletion([word, surplus]: readonly string[]): CompletionCommand | WrongUsage {
  const shell = SHELLS.find((each) => each === word);
  if (shell === undefined) return { wrong: `completion needs a shell: ${SHELLS.join(", ")}` };
  return surplus === undefined ? { command: "completion", shell } : { wrong: `unexpected word "${surplus}"` };
}

function buildNames([kind]: readonly string[], options: Words["options"]): NamesCommand | WrongUsage {
  if (kind !== "tunnels" && kind !== "targets") return { wrong: "names needs a kind: tunnels, targets" };
  return { command: "names", kind, daemon: addressOf(options) };
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

const SHOWABLE = [...SHOW_SUBJECTS, ...SHOW_IN_WORDS];

function buildShow(operands: readonly string[], options: Words["options"]): ShowCommand | WrongUsage {
  const what = SHOWABLE.find((subject) => subject === operands[0]);
  const [name, surplus] = what === undefined ? operands : operands.slice(1);
  if (surplus !== undefined) {
    const hint = what === undefined ? didYouMean(name ?? "", SHOWABLE) : "";
    return { wrong: `unexpected word "${surplus}"${hint === "" ? "" : `, "${name}" is no subject${hint}`}` };
  }
  if (name === undefined && (what === "tunnel" || what === "session")) {
    return { wrong: `show ${what} needs ${what === "tunnel" ? "a TUNNEL" : "a SESSION or TUNNEL/SESSION"}` };
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
