import { COMMANDS, type CommandName, definitionOf, OPTION_NAMES, optionDefinition } from "../cli/command-table.ts";
import { optionSynopsis, synopses } from "../cli/usage.ts";
import { DEFAULT_ADMIN_SOCKET } from "../config/site.ts";
import { bold, entry, heading, type Page, paragraphs } from "./roff.ts";

const SIGNALS: readonly (readonly [signal: string, text: string])[] = [
  [
    "SIGTERM, SIGINT",
    "Closes every control connection with a StopCCN, removes every interface and ends with exit code 0. A second one does not wait for the peers.",
  ],
  ["SIGHUP", "Does what reload does; where the daemon runs on a terminal, whose end this is, what SIGTERM does."],
  [
    "SIGUSR2",
    "Leaves everything as it is for another process to go on from, and ends with exit code 75: the restart of a service manager that keeps sockets. Without one, or with a configuration file that is wrong by now, what SIGTERM does.",
  ],
];

const CAPABILITIES =
  "The daemon needs CAP_NET_ADMIN; CAP_NET_BIND_SERVICE for ports below 1024; CAP_NET_RAW for bind_device before Linux 5.7; CAP_SYS_ADMIN for netns; and CAP_SYS_MODULE only to load kernel modules that are not loaded.";

/** l2tpv3-lcc(8), from the table of commands. */
export const PROGRAM_PAGE: Page = {
  name: "l2tpv3-lcc",
  section: 8,
  purpose: "L2TPv3 control connection endpoint (RFC 3931)",
  body: [
    heading("SYNOPSIS"),
    ...commandNames().flatMap((name) => synopses(name).flatMap((line) => [bold(line), ".br"])),
    heading("DESCRIPTION"),
    ...paragraphs(
      "l2tpv3-lcc makes a Linux machine an L2TP Control Connection Endpoint (LCCE): it negotiates control connections and Ethernet pseudowires with routers and with other Linux machines, creates the matching tunnels and interfaces in the kernel, watches the peer, and comes back by itself.",
      "Which peers and pseudowires there are is told by a configuration file, see l2tpv3-lcc.toml(5).",
      CAPABILITIES,
    ),
    heading("COMMANDS"),
    ...commandNames().flatMap((name) => entry(synopses(name).map(bold).join("\n.TQ\n"), ...definitionOf(name).manual)),
    ...paragraphs(
      `Commands find the daemon through --conf FILE (its admin_socket), through --socket PATH, or at ${DEFAULT_ADMIN_SOCKET}. --conf FILE may stand before or after the command.`,
    ),
    heading("OPTIONS"),
    ...OPTION_NAMES.flatMap((name) => {
      const { summary, more } = optionDefinition(name);
      return entry(bold(optionSynopsis(name)), `${sentence(summary)}${more === undefined ? "" : ` ${more}`}`);
    }),
    heading("SIGNALS"),
    ...SIGNALS.flatMap(([signal, text]) => entry(bold(signal), text)),
    heading("EXIT STATUS"),
    ...entry("0", "Done."),
    ...entry("1", "Failed, with one line on standard error that says why."),
    ...entry("2", "Wrong usage or configuration."),
    ...entry("75", "Ended by SIGUSR2: another process is to go on."),
    heading("FILES"),
    ...entry(
      bold(DEFAULT_ADMIN_SOCKET),
      "The admin socket where no other is configured: owner and group alone may use it.",
    ),
    ...entry(
      bold("$RUNTIME_DIRECTORY/state"),
      "What the next process goes on from, where a service manager keeps the sockets (NOTIFY_SOCKET, FDSTORE=1). No secret of the configuration is in it.",
    ),
    heading("STANDARDS"),
    ...paragraphs("RFC 3931 (L2TPv3), RFC 4719 (Ethernet over L2TPv3), RFC 5641 (Circuit Status)."),
  ],
  seeAlso: ["l2tpv3-lcc.toml(5)", "l2tpv3-lcc-show(8)", "ip-l2tp(8)"],
};

function commandNames(): readonly CommandName[] {
  return Object.keys(COMMANDS) as CommandName[];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
