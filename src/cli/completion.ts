import {
  COMMAND_WORDS,
  type CommandName,
  type Completion,
  definitionOf,
  OPTION_NAMES,
  type OptionName,
  optionDefinition,
  type SHELLS,
} from "./command-table.ts";

type Shell = (typeof SHELLS)[number];

/** How a shell says things. */
interface Dialect {
  readonly files: string;
  readonly words: (words: readonly string[]) => string;
  readonly names: (kind: "tunnels" | "targets") => string;
}

/** A script for the shell, made from the tables of commands and options. */
export function completionScript(shell: Shell): string {
  return shell === "bash" ? bashScript() : zshScript();
}

const BASH: Dialect = {
  files: "_l2tpv3_lcc_files",
  words: (words) => `_l2tpv3_lcc_words ${words.join(" ")}`,
  names: (kind) => `_l2tpv3_lcc_names ${kind}`,
};

const ZSH: Dialect = {
  files: "_files",
  words: (words) => `compadd -- ${words.join(" ")}`,
  names: (kind) => `_l2tpv3_lcc_names ${kind}`,
};

/** Names are never given to the shell to be expanded: a configuration may hold any. */
function bashScript(): string {
  return `# bash completion for l2tpv3-lcc, printed by: l2tpv3-lcc completion bash

_l2tpv3_lcc_words() {
  local word
  for word in "$@"; do
    if [[ $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
  done
}

_l2tpv3_lcc_files() {
  compopt -o filenames 2>/dev/null
  local file
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
}

_l2tpv3_lcc_names() {
  local name
  while IFS= read -r name; do
    if [[ $name == "$current"* ]]; then COMPREPLY+=("$(printf %q "$name")"); fi
  done < <("\${COMP_WORDS[0]}" names "$1" "\${daemon[@]}" 2>/dev/null)
}

_l2tpv3_lcc() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= operands=0 index
  local -a daemon=()
  COMPREPLY=()
  if [[ $current == = ]]; then current=; elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${daemonOptions().join("|")})
        daemon+=("\${COMP_WORDS[index]}")
        if [[ \${COMP_WORDS[index+1]} == = ]]; then ((index++)); fi
        daemon+=("\${COMP_WORDS[index+1]/#\\~/$HOME}"); ((index++)) ;;
      ${valueOptions().join("|")}) ((index++)) ;;
      -*|=) ;;
      *) if [[ -z $command ]]; then command=\${COMP_WORDS[index]}; else ((operands++)); fi ;;
    esac
  done
${indented(choices(BASH), 2)}
}

complete -F _l2tpv3_lcc l2tpv3-lcc
`;
}

function zshScript(): string {
  return `#compdef l2tpv3-lcc
# zsh completion for l2tpv3-lcc, printed by: l2tpv3-lcc completion zsh

_l2tpv3_lcc_names() {
  local -a names
  names=("\${(@f)$($words[1] names $1 $daemon 2>/dev/null)}")
  compadd -- \${names:#}
}

_l2tpv3_lcc() {
  local current=$words[CURRENT] previous=$words[CURRENT-1] command= operands=0 index
  local -a daemon
  for ((index = 2; index < CURRENT; index++)); do
    case $words[index] in
      (${daemonOptions().join("|")}) daemon+=($words[index] \${words[index+1]/#\\~/$HOME}); ((index++)) ;;
      (${daemonOptions("=*").join("|")}) daemon+=($words[index]) ;;
      (${valueOptions().join("|")}) ((index++)) ;;
      (-*) ;;
      (*) if [[ -z $command ]]; then command=$words[index]; else ((operands++)); fi ;;
    esac
  done
${indented(choices(ZSH), 2)}
}

if [[ $funcstack[1] == _l2tpv3[-_]lcc ]]; then _l2tpv3_lcc "$@"; else compdef _l2tpv3_lcc l2tpv3-lcc; fi
`;
}

/** Where the daemon is found is passed on to `names`. */
function daemonOptions(more = ""): readonly string[] {
  const all = (["conf", "socket"] as const).flatMap(spellings);
  return more === "" ? all : all.filter((option) => option.startsWith("--")).map((option) => `${option}${more}`);
}

/** What comes first: the value of an option, an option, or a word. */
function choices(shell: Dialect): readonly string[] {
  return [
    "case $previous in",
    ...OPTION_NAMES.flatMap((name) => {
      const { value } = optionDefinition(name);
      return value === undefined
        ? []
        : [`  (${spellings(name).join("|")}) ${offer(value.completion, shell)}; return ;;`];
    }),
    "esac",
    "if [[ $current == -* ]]; then",
    "  case $command in",
    ...commandNames().map(([word, name]) => `    (${word || "''"}) ${shell.words(optionWords(name))} ;;`),
    "  esac",
    "  return",
    "fi",
    "case $command/$operands in",
    `  (/0) ${shell.words(COMMAND_WORDS)} ;;`,
    ...COMMAND_WORDS.flatMap((name) => operandChoices(name, shell)),
    "esac",
  ];
}

function operandChoices(name: CommandName, shell: Dialect): readonly string[] {
  const { operands, repeats } = definitionOf(name);
  return operands.map((completion, index) => {
    const number = repeats === true && index === operands.length - 1 ? "*" : index;
    // The NAME may also stand where the subject may.
    const alone = name === "show" && index === 0 ? `; ${shell.names("targets")}` : "";
    return `  (${name}/${number}) ${offer(completion, shell)}${alone} ;;`;
  });
}

function offer(completion: Completion, shell: Dialect): string {
  if (completion === "files") return shell.files;
  if (completion === "tunnels" || completion === "targets") return shell.names(completion);
  return shell.words(completion);
}

function commandNames(): readonly (readonly [word: string, name: CommandName])[] {
  return [["", "run"], ...COMMAND_WORDS.map((name) => [name, name] as const)];
}

function optionWords(name: CommandName): readonly string[] {
  return [...definitionOf(name).options, "help" as const, ...(name === "run" ? ["version" as const] : [])].map(
    (option) => `--${option}`,
  );
}

/** Of options that a value follows and that say nothing about the daemon. */
function valueOptions(): readonly string[] {
  return OPTION_NAMES.filter((name) => optionDefinition(name).value !== undefined)
    .filter((name) => name !== "conf" && name !== "socket")
    .flatMap(spellings);
}

function spellings(name: OptionName): readonly string[] {
  const { short } = optionDefinition(name);
  return [...(short === undefined ? [] : [`-${short}`]), `--${name}`];
}

function indented(lines: readonly string[], by: number): string {
  return lines.map((line) => `${" ".repeat(by)}${line}`).join("\n");
}
