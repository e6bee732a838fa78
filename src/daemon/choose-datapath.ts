import type { Site } from "../config/site.ts";
import type { DatapathEvents } from "../kernel/datapath.ts";
import type { Adopted } from "../kernel/leftovers.ts";
import { NamespacedDatapath, type OpenDatapath } from "../kernel/namespaced-datapath.ts";
import type { Log } from "./log.ts";

type ChoiceOf = Pick<Site, "tunnels"> & { readonly lcce: Pick<Site["lcce"], "datapath"> };

/**
 * The datapath of the configuration, in every network namespace that tunnels have; for "auto" the kernel's, or where the
 * kernel has no L2TP the one in user space, with one warning. Throws an `Error` that says what is missing.
 */
export async function chooseDatapath(
  site: ChoiceOf,
  log: Log,
  events: DatapathEvents,
  adopted: Adopted = new Map(),
): Promise<NamespacedDatapath> {
  return new NamespacedDatapath(events, await opener(site, log, adopted));
}

async function opener(site: ChoiceOf, log: Log, adopted: Adopted): Promise<OpenDatapath> {
  switch (site.lcce.datapath) {
    case "none": {
      const { NoneDatapath } = await import("../kernel/none-datapath.ts");
      return () => new NoneDatapath();
    }
    case "kernel": {
      const reason = await kernelFlaw();
      if (reason === undefined) return kernelOpener(adopted);
      throw new Error(`datapath "kernel" cannot be used: ${reason}${await insteadOf(site)}`);
    }
    case "userspace": {
      const reason = await userspaceFlaw();
      if (reason === undefined) return userspaceOpener();
      throw new Error(`datapath "userspace" cannot be used: ${reason}`);
    }
    case "auto":
      return chooseByItself(log, adopted);
  }
}

async function chooseByItself(log: Log, adopted: Adopted): Promise<OpenDatapath> {
  const kernel = await kernelFlaw();
  if (kernel === undefined) return kernelOpener(adopted);
  const userspace = await userspaceFlaw();
  if (userspace !== undefined) {
    throw new Error(`no datapath can be used. The kernel's: ${kernel}. In user space: ${userspace}`);
  }
  log.write({
    level: "warn",
    event: "datapath-fallback",
    message: `the kernel's L2TP cannot be used, frames go through user space, which is slower: ${kernel}`,
  });
  return userspaceOpener();
}

/** What would work in the kernel's place; the end of a sentence. L2TP over IP is the kernel's alone. */
async function insteadOf({ tunnels }: ChoiceOf): Promise<string> {
  if (tunnels.some(({ encapsulation }) => encapsulation === "ip")) return "";
  return (await userspaceFlaw()) === undefined ? '; datapath = "auto" falls back to user space' : "";
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

async function kernelOpener(adopted: Adopted): Promise<OpenDatapath> {
  const { KernelDatapath } = await import("../kernel/kernel-datapath.ts");
  const { startKernelThread } = await import("../kernel/kernel-thread.ts");
  return (netns, events) => new KernelDatapath(events, (heard) => startKernelThread(heard, netns, adopted));
}

async function userspaceOpener(): Promise<OpenDatapath> {
  const { UserspaceDatapath } = await import("../kernel/userspace-datapath.ts");
  return (netns, events) => new UserspaceDatapath(events, netns);
}
