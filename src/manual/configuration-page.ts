import { HOOK_KEYS, type KeyDefinition, type KeyGroup, LCCE_KEYS, SESSION_KEYS, TUNNEL_KEYS } from "../config/keys.ts";
import { bold, entry, example, heading, type Page, paragraphs, subheading } from "./roff.ts";

type Keys = Readonly<Record<string, KeyDefinition | KeyGroup>>;

const EXAMPLE = `[lcce]
hostname = "site-a"
listen   = ["udp:0.0.0.0:1701"]

[tunnel.paris]
peer        = "198.51.100.2"
secret_file = "/etc/l2tpv3-lcc/paris.secret"

[tunnel.paris.session.lan42]
remote_end_id = "42"
interface     = "l2-paris42"
addresses     = ["10.0.0.1/30"]
`;

/** l2tpv3-lcc.toml(5), from the schema that files are checked against. */
export const CONFIGURATION_PAGE: Page = {
  name: "l2tpv3-lcc.toml",
  section: 5,
  purpose: "configuration of l2tpv3-lcc",
  body: [
    heading("DESCRIPTION"),
    ...paragraphs(
      "The configuration of l2tpv3-lcc(8) is a file in TOML 1.0. Durations are strings with a unit: ms, s, m or h. An unknown key, a wrong value or a contradiction is an error that names the file, the line, the key, what was found and what is allowed; l2tpv3-lcc check --conf FILE tells all of them.",
      "A file with a secret in it must not be readable by other users.",
    ),
    heading("SEVERAL FILES"),
    ...entry(
      bold("include"),
      "At the top of the file, before any table: other files that are read too, as if they stood in it. A path begins at the directory of the file; * and ? may stand in the name of a file, and what fits is read in sorted order. What two files say of the same key is an error. Files that are included cannot include others.",
      'Value: a list of paths, such as ["conf.d/*.toml"].',
    ),
    ...keySection("THE TABLE [lcce]", LCCE_KEYS, "This machine."),
    ...keySection(
      "THE TABLE [hooks]",
      HOOK_KEYS,
      "Executables that are run when something happens. What has happened stands in their environment: L2TP_EVENT, L2TP_TUNNEL, L2TP_SESSION, L2TP_INTERFACE, L2TP_PEER, L2TP_REASON and more, which README lists.",
    ),
    ...keySection(
      "TABLES [tunnel.NAME]",
      TUNNEL_KEYS,
      "A peer. The name is free, and what commands call it.",
      entry(
        bold("template"),
        "The name of a [template.NAME] whose keys count where the tunnel has none of its own.",
        "Value: the name of a template in this file.",
      ),
    ),
    ...keySection(
      "TABLES [tunnel.NAME.session.NAME]",
      SESSION_KEYS,
      "A pseudowire to that peer. The name is unique in its tunnel.",
    ),
    heading("TABLES [template.NAME]"),
    ...paragraphs(
      "Keys of tunnels that several of them share. Those of sessions may stand there as well, or in [template.NAME.session]; they count for every session of the tunnels that use the template.",
    ),
    heading("EXAMPLE"),
    ...example(EXAMPLE),
  ],
  seeAlso: ["l2tpv3-lcc(8)", "l2tpv3-lcc-show(8)"],
};

function keySection(title: string, keys: Keys, intro: string, more: readonly string[] = []): readonly string[] {
  const groups = Object.entries(keys).filter((each): each is [string, KeyGroup] => "keys" in each[1]);
  const plain = Object.entries(keys).filter((each): each is [string, KeyDefinition] => "format" in each[1]);
  return [
    heading(title),
    ...paragraphs(intro),
    ...more,
    ...plain.flatMap(([name, definition]) => keyEntry(name, definition)),
    ...groups.flatMap(([name, { doc, keys: inner }]) => [
      subheading(`The inline table ${name}`),
      ...paragraphs(doc),
      ...Object.entries(inner).flatMap(([key, definition]) => keyEntry(key, definition)),
    ]),
  ];
}

/** What it means, what it may be, and what it is where the file has it not; where that is no constant, `doc` says so. */
function keyEntry(name: string, { doc, format, default: standard }: KeyDefinition): readonly string[] {
  const value = `Value: ${format.allowed}.${standard === null ? "" : ` Default: ${tomlText(standard)}.`}`;
  return entry(bold(name), doc, value);
}

/** Of the scalars and lists that defaults are, JSON's form is TOML's. */
function tomlText(value: unknown): string {
  return JSON.stringify(value);
}
