// npm run bench: runs the modules of bench/ and prints what they measure against the goals.
// `npm run bench -- NAME…` runs only those whose file name contains a NAME.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { prepare, root } from "./prepare.mjs";

const MARK = "bench-result ";

if (process.argv[2] === "--module") await measure(process.argv[3]);
else await main(process.argv.slice(2));

async function main(names) {
  await prepare();
  const directory = join(root, "dist/bench");
  const files = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith(".js")) : [];
  const chosen = files.filter((file) => names.length === 0 || names.some((name) => file.includes(name))).sort();
  const rows = [];
  for (const file of chosen) {
    process.stderr.write(`bench: ${file}\n`);
    const measured = measureInNewProcess(join(directory, file));
    if (measured === undefined) process.exitCode = 1;
    else rows.push(...measured);
  }
  print(rows);
}

/** A process of its own for each, so that no measurement sees another's heap or compiled code. */
function measureInNewProcess(path) {
  const script = fileURLToPath(import.meta.url);
  const { stdout, status } = spawnSync(process.execPath, ["--expose-gc", script, "--module", path], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) {
    console.error(`bench: ${path} failed`);
    return undefined;
  }
  const lines = stdout.split("\n");
  for (const line of lines) if (line !== "" && !line.startsWith(MARK)) console.log(line);
  const result = lines.find((line) => line.startsWith(MARK));
  return result === undefined ? [] : JSON.parse(result.slice(MARK.length));
}

async function measure(path) {
  const { run } = await import(pathToFileURL(path).href);
  // A module without `run` is part of another one.
  if (run !== undefined) process.stdout.write(`\n${MARK}${JSON.stringify(await run())}\n`);
}

function print(rows) {
  const table = [["what", "measured", "goal", "unit"]];
  for (const { name, value, goal, unit } of rows) table.push([name, figure(value), goalText(goal), unit]);
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  console.log("");
  for (const row of table) {
    const cells = row.map((cell, column) => {
      const isFigure = column === 1 || column === 2;
      return isFigure ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
    });
    console.log(cells.join("  ").trimEnd());
  }
}

function figure(value) {
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 });
}

function goalText(goal) {
  if (goal === undefined || goal === null) return "";
  return typeof goal === "number" ? figure(goal) : String(goal);
}
