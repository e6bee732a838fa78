import { wrap } from "../cli/table.ts";

/** Of lines of the source, as far as words allow. */
const SOURCE_WIDTH = 80;

/** A page of the manual for man(1), in the macros of man(7). */
export interface Page {
  /** "l2tpv3-lcc.toml". */
  readonly name: string;
  readonly section: 5 | 8;
  /** What stands behind the name in the list of pages: a few words. */
  readonly purpose: string;
  readonly body: readonly string[];
  readonly seeAlso: readonly string[];
}

/** The page's source. Without a date: it is as old as its version. */
export function renderPage({ name, section, purpose, body, seeAlso }: Page, version: string): string {
  const also = seeAlso.map((page, index) => {
    const [title = "", number = ""] = page.split(/[()]/);
    return `.BR ${escaped(title)} (${number})${index === seeAlso.length - 1 ? "" : ","}`;
  });
  const title = section === 5 ? "File Formats" : "System Administration";
  const lines = [
    '.\\" Made by npm run man: what is changed here is lost.',
    `.TH ${escaped(name.toUpperCase())} ${section} "" "l2tpv3\\-lcc ${version}" "${title}"`,
    ".SH NAME",
    `${escaped(name)} \\- ${escaped(purpose)}`,
    ...body,
    ".SH SEE ALSO",
    ...also,
  ];
  return `${lines.filter((line, index) => !isIdle(line, lines[index - 1], lines[index + 1])).join("\n")}\n`;
}

/** A paragraph begins with its heading, and a line ends before one, in any case. */
function isIdle(line: string, before = "", after = ""): boolean {
  return (line === ".PP" && /^\.S[HS]/.test(before)) || (line === ".br" && after.startsWith(".SH"));
}

/** Text that means nothing to roff, whatever it holds; dashes are those of the keyboard. */
export function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("'", "\\(aq").replaceAll("…", "...");
}

export function bold(text: string): string {
  return `\\fB${escaped(text)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${escaped(text)}\\fR`;
}

export function heading(title: string): string {
  return `.SH ${escaped(title)}`;
}

export function subheading(title: string): string {
  return `.SS ${escaped(title)}`;
}

/** Each a sentence to a line, which keeps lines short and differences small. */
export function paragraphs(...texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => [".PP", ...sentences(text)]);
}

/** A term, which is written as it is, and what it means. */
export function entry(term: string, ...texts: readonly string[]): readonly string[] {
  const [first = "", ...more] = texts;
  return [".TP", term, ...sentences(first), ...more.flatMap((text) => [".IP", ...sentences(text)])];
}

/** Lines as they are, indented. */
export function example(text: string): readonly string[] {
  return [
    ".PP",
    ".RS 4",
    ".nf",
    ...text
      .trimEnd()
      .split("\n")
      .map((line) => guarded(escaped(line))),
    ".fi",
    ".RE",
  ];
}

function sentences(text: string): readonly string[] {
  return text
    .split(/(?<=[.:;]) (?=[A-Z0-9"])/)
    .flatMap((sentence) => wrap(escaped(sentence), SOURCE_WIDTH).map(guarded));
}

/** A line that begins with a dot or a quote would be a request. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
