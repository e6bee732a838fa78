import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { requireCommand } from "./packages.ts";

export interface Guest {
  readonly vmlinux: string;
  readonly initramfs: string;
  readonly nonce: string;
  readonly memoryMib: number;
  /** Receives what the guest writes to its virtio-serial port. */
  readonly filesPath: string | undefined;
  /** From the first line of the script on. */
  readonly timeoutMs: number;
  readonly onOutput: ((text: string) => void) | undefined;
}

export type GuestEnd =
  | { readonly type: "exit"; readonly code: number }
  | { readonly type: "not-booted"; readonly reason: string }
  | { readonly type: "failed"; readonly reason: string };

export interface GuestRun {
  readonly end: GuestEnd;
  /** What the script printed, with kernel messages of that time. */
  readonly output: string;
  /** Everything since power-on. */
  readonly console: string;
  readonly bootMs: number;
}

const BOOT_LIMIT_MS = 60_000;
const KERNEL_ARGUMENTS = [
  "console=ttyS0 loglevel=4 panic=-1 oops=panic nokaslr no_timer_check random.trust_cpu=on",
  // Half a second sooner.
  "mitigations=off cryptomgr.notests lsm=capability audit=0",
].join(" ");
/** Kernel messages that end a run; the time stamp tells them from a script's own words. */
const KERNEL_DEATH = /^\[ *\d+\.\d+\](?:\[[^\]]*\])* (?:Kernel panic|BUG: |Oops: |general protection fault|int3: )/m;

/** KVM where the processor offers it to us and the device opens, else emulation. */
function acceleration(): readonly string[] {
  // With cx16 newer kernels panic at boot now and then under emulation. With erms and fsrm the kernel copies octet by
  // octet (rep movsb), which emulation makes slow: unpacking the initramfs takes a second more.
  const emulation = ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16,-erms,-fsrm"];
  if (!/^flags\s*:.*\b(?:vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"))) return emulation;
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return ["-accel", "kvm", "-cpu", "host"];
  } catch {
    return emulation;
  }
}

function machineArguments(guest: Guest): readonly string[] {
  const files =
    guest.filesPath === undefined
      ? []
      : [
          ...["-device", "virtio-serial-pci", "-chardev", `file,id=files,path=${guest.filesPath}`],
          ...["-device", "virtserialport,chardev=files,name=files"],
        ];
  return [
    ...["-M", "q35", ...acceleration(), "-smp", "2", "-m", String(guest.memoryMib)],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"],
    ...["-kernel", guest.vmlinux, "-initrd", guest.initramfs, "-append", KERNEL_ARGUMENTS],
    ...files,
  ];
}

/** Boots a guest, follows its console and ends it as soon as its script has ended, failed or used up its time. */
export async function runGuest(guest: Guest): Promise<GuestRun> {
  const qemu = await requireCommand("qemu-system-x86_64", "qemu-system-x86");
  // `timeout` ends the machine even if this process is killed before it can.
  const longestSeconds = Math.ceil((BOOT_LIMIT_MS + guest.timeoutMs) / 1000) + 10;
  const command = ["-k", "5", String(longestSeconds), qemu, ...machineArguments(guest)];
  const child = spawn("timeout", command, { stdio: ["ignore", "pipe", "pipe"] });
  return new GuestWatch(guest, child).ended;
}

class GuestWatch {
  readonly ended: Promise<GuestRun>;
  readonly #guest: Guest;
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  readonly #startMarker: string;
  readonly #exitMarker: RegExp;
  readonly #kill = () => void this.#child.kill("SIGTERM");
  #console = "";
  #scriptAt: number | undefined;
  #shownTo = 0;
  #bootMs = 0;
  #end: GuestEnd | undefined;
  #timer: NodeJS.Timeout;

  constructor(guest: Guest, child: ChildProcess) {
    this.#guest = guest;
    this.#child = child;
    this.#startMarker = `@vm-start ${guest.nonce}\n`;
    this.#exitMarker = new RegExp(`@vm-exit ${guest.nonce} (\\d+)\n`);
    this.#timer = setTimeout(() => this.#finish(this.#dead("did not start the script in time")), BOOT_LIMIT_MS);
    process.once("exit", this.#kill);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => resolve(this.#close()));
    });
  }

  #read(text: string): void {
    if (this.#end !== undefined) return;
    this.#console += text.replaceAll("\r", "");
    if (this.#scriptAt === undefined) this.#lookForStart();
    if (this.#scriptAt !== undefined) this.#lookForEnd(this.#scriptAt);
  }

  #lookForStart(): void {
    const at = this.#console.indexOf(this.#startMarker);
    if (at < 0) return;
    this.#scriptAt = at + this.#startMarker.length;
    this.#shownTo = this.#scriptAt;
    this.#bootMs = performance.now() - this.#startedAt;
    clearTimeout(this.#timer);
    const { timeoutMs } = this.#guest;
    const reason = `did not finish within ${timeoutMs / 1000} s`;
    this.#timer = setTimeout(() => this.#finish({ type: "failed", reason }), timeoutMs);
  }

  #lookForEnd(scriptAt: number): void {
    const found = this.#exitMarker.exec(this.#console.slice(this.#shownTo));
    const end = found === null ? this.#console.lastIndexOf("\n") + 1 : this.#shownTo + found.index;
    this.#guest.onOutput?.(this.#console.slice(this.#shownTo, end));
    this.#shownTo = Math.max(end, scriptAt);
    if (found === null) return;
    this.#console = this.#console.slice(0, end);
    this.#finish({ type: "exit", code: Number(found[1]) });
  }

  #finish(end: GuestEnd): void {
    this.#end ??= end;
    this.#kill();
  }

  #dead(reason: string): GuestEnd {
    return { type: this.#scriptAt === undefined ? "not-booted" : "failed", reason };
  }

  #close(): GuestRun {
    clearTimeout(this.#timer);
    process.off("exit", this.#kill);
    const death = this.#console.match(new RegExp(`${KERNEL_DEATH.source}.*`, "m"))?.[0];
    const end = death === undefined ? (this.#end ?? this.#dead("ended by itself")) : this.#dead(`kernel: ${death}`);
    const output = this.#scriptAt === undefined ? "" : this.#console.slice(this.#scriptAt);
    return { end, output, console: this.#console, bootMs: this.#bootMs };
  }
}
