import type { DatapathChoice } from "../config/site.ts";
import type { Datapath, DatapathEvents } from "../kernel/datapath.ts";
import type { Log } from "./log.ts";

/**
 * The datapath of the configuration; for "auto" the kernel's, or where the kernel has no L2TP the one in user space,
 * with one warning. Throws an `Error` that says what is missing.
 */
export async function chooseDatapath(choice: DatapathChoice, log: Log, events: DatapathEvents): Promise<Datapath> {
  switch (choice) {
    case "none": {
      const { NoneDatapath } = await import("../kernel/none-datapath.ts");
      return new NoneDatapath();
    }
    case "kernel": {
      const reason = await kernelFlaw();
      if (reason === undefined) return openKernel(events);
      throw new Error(`datapath "kernel" cannot be used: ${reason}`);
    }
    case "userspace": {
      const reason = await userspaceFlaw();
      if (reason === undefined) return openUserspace(events);
      throw new Error(`datapath "userspace" cannot be used: ${reason}`);
    }
    case "auto":
      return chooseByItself(log, events);
  }
}

async function chooseByItself(log: Log, events: DatapathEvents): Promise<Datapath> {
  const kernel = await kernelFlaw();
  if (kernel === undefined) return openKernel(events);
  const userspace = await userspaceFlaw();
  if (userspace !== undefined) {
    throw new Error(`no datapath can be used. The kernel's: ${kernel}. In user space: ${userspace}`);
  }
  log.write({
    level: "warn",
    event: "datapath-fallback",
    message: `the kernel's L2TP cannot be used, frames go through user space, which is slower: ${kernel}`,
  });
  return openUserspace(events);
}

async function kernelFlaw(): Promise<string | undefined> {
  const { probeKernelL2tp } = await import("../kernel/modules.ts");
  const probe = await probeKernelL2tp();
  return probe.available ? undefined : probe.reason;
}

async function userspaceFlaw(): Promise<string | undefined> {
  const { probeUserspace } = await import("../kernel/tap.ts");
  const probe = probeUserspace();
  return probe.available ? undefined : probe.reason;
}

async function openKernel(events: DatapathEvents): Promise<Datapath> {
  const { KernelDatapath } = await import("../kernel/kernel-datapath.ts");
  return new KernelDatapath(events);
}

async function openUserspace(events: DatapathEvents): Promise<Datapath> {
  const { UserspaceDatapath } = await import("../kernel/userspace-datapath.ts");
  return new UserspaceDatapath(events);
}
