#!/usr/bin/env -S node --enable-source-maps
import { type Command, parseArguments, type RunCommand } from "./cli/arguments.ts";
import { complain, EXIT, type Terminal } from "./cli/terminal.ts";

/** The composition root. Commands are imported when they are asked for: `show` need not load the daemon. */
async function perform(command: Command, terminal: Terminal): Promise<number> {
  switch (command.command) {
    case "help": {
      const { usage } = await import("./cli/usage.ts");
      terminal.out(usage());
      return EXIT.done;
    }
    case "version": {
      const { packageVersion } = await import("./daemon/version.ts");
      terminal.out(`l2tpv3-lcc ${packageVersion()}\n`);
      return EXIT.done;
    }
    case "check": {
      const { check } = await import("./cli/check.ts");
      return check(command, terminal);
    }
    case "show": {
      const { show } = await import("./cli/show.ts");
      return show(command, terminal, new Date());
    }
    case "events": {
      const { events } = await import("./cli/events.ts");
      return events(command, terminal, await interruptions());
    }
    case "completion": {
      const { completionScript } = await import("./cli/completion.ts");
      terminal.out(completionScript(command.shell));
      return EXIT.done;
    }
    case "names": {
      const { names } = await import("./cli/names.ts");
      return names(command, terminal);
    }
    case "trace": {
      const { trace } = await import("./cli/trace.ts");
      return trace(command, terminal, await interruptions());
    }
    case "watch": {
      const { watch } = await import("./cli/watch.ts");
      const { openScreen } = await import("./cli/screen.ts");
      return watch(command, terminal, { openScreen, interruption: await interruptions() });
    }
    case "open":
    case "close": {
      const { openOrClose } = await import("./cli/open-close.ts");
      return openOrClose(command, terminal);
    }
    case "doctor": {
      const { doctor } = await import("./cli/doctor.ts");
      return doctor(command, terminal);
    }
    case "import": {
      const { importInto } = await import("./cli/import.ts");
      return importInto(command, terminal);
    }
    case "replay": {
      const { replay } = await import("./cli/replay.ts");
      return replay(command, terminal);
    }
    case "reload": {
      const { reload } = await import("./cli/reload.ts");
      return reload(command, terminal);
    }
    case "run":
      return runDaemon(command, terminal);
  }
}

async function interruptions() {
  const { listenForInterruption } = await import("./cli/interruption.ts");
  return listenForInterruption();
}

async function runDaemon({ conf: configPath, record }: RunCommand, terminal: Terminal): Promise<number> {
  const { listenForStopSignals } = await import("./daemon/stop-signals.ts");
  const signals = listenForStopSignals();
  const { loadOrExplain } = await import("./cli/load-or-explain.ts");
  const site = loadOrExplain(configPath, terminal);
  if (site === undefined) return EXIT.wrongUsage;
  const { run } = await import("./daemon/run.ts");
  return run({ site, configPath, signals, recordPath: record });
}

async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const command = parseArguments(argv);
  if ("wrong" in command) {
    complain(terminal, `${command.wrong} (see l2tpv3-lcc --help)`);
    return EXIT.wrongUsage;
  }
  return perform(command, terminal);
}

const terminal: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  width: () => Number(process.env["COLUMNS"]) || process.stdout.columns,
};

// `show | head` closes the pipe early: nothing is left to say then.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await main(process.argv.slice(2), terminal);
