import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import { HeldNamespace, inNamespace, type NamespaceCalls, netnsPath } from "../../../src/kernel/netns.ts";

const OWN = "/proc/thread-self/ns/net";

class GivenUp extends Error {}

/** A kernel with a namespace "blue", that writes down what it is asked. */
class FakeCalls implements NamespaceCalls {
  readonly asked: string[] = [];
  /** What cannot be entered, and why. */
  readonly refusals = new Map<string, string>();
  /** Where the thread is. */
  place = OWN;
  readonly #open = new Map<number, string>();

  open(path: string): number {
    if (path !== OWN && path !== "/run/netns/blue" && path !== "/run/netns/red") {
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    }
    const fd = 10 + this.asked.length;
    this.asked.push(`open ${path}`);
    // What the own one is, is where the thread is.
    this.#open.set(fd, path === OWN ? this.place : path);
    return fd;
  }

  enter(fd: number): void {
    const path = this.#open.get(fd) ?? "";
    const errno = this.refusals.get(path);
    if (errno !== undefined) throw new KernelError(`setns failed: ${errno}`, { errno, command: "setns" });
    this.place = path;
  }

  close(fd: number): void {
    if (!this.#open.delete(fd)) throw new Error(`${fd} is not open`);
  }

  giveUp(reason: string): never {
    throw new GivenUp(reason);
  }

  get leaked(): number {
    return this.#open.size;
  }
}

test("a name is one of ip netns, a path is itself", () => {
  expect(netnsPath("blue")).toBe("/run/netns/blue");
  expect(netnsPath("/proc/1234/ns/net")).toBe("/proc/1234/ns/net");
});

test("without a namespace nothing is asked", () => {
  const calls = new FakeCalls();
  expect(inNamespace(undefined, () => 7, calls)).toBe(7);
  expect(calls.asked).toEqual([]);
});

test("it is entered for the act alone, and left whatever comes of that", () => {
  const calls = new FakeCalls();
  expect(inNamespace("blue", () => calls.place, calls)).toBe("/run/netns/blue");
  expect(calls.place).toBe(OWN);
  const act = () => {
    throw new Error("in the middle");
  };
  expect(() => inNamespace("blue", act, calls)).toThrow("in the middle");
  expect(calls.place).toBe(OWN);
  expect(calls.leaked).toBe(0);
});

test("one within another returns to that", () => {
  const calls = new FakeCalls();
  const places = inNamespace("blue", () => [inNamespace("red", () => calls.place, calls), calls.place], calls);
  expect(places).toEqual(["/run/netns/red", "/run/netns/blue"]);
  expect(calls.place).toBe(OWN);
  expect(calls.leaked).toBe(0);
});

test("one that cannot be returned from ends the process, and nothing follows", () => {
  const calls = new FakeCalls();
  calls.refusals.set(OWN, "EPERM");
  const words = "cannot return to the daemon's own network namespace: setns failed: EPERM";
  expect(() => inNamespace("blue", () => 7, calls)).toThrow(new GivenUp(words));
});

test.each([
  ["green", undefined, "ENOENT", "network namespace green does not exist (/run/netns/green); it is waited for"],
  ["blue", "EINVAL", "EINVAL", "/run/netns/blue is no network namespace (yet); it is waited for"],
  ["blue", "EPERM", "EPERM", "cannot enter network namespace blue: not permitted, it needs CAP_SYS_ADMIN (EPERM)"],
  ["blue", "EMFILE", "EMFILE", "cannot enter network namespace blue: EMFILE"],
])("%s refused with %s: %s, in words", (netns, refusal, errno, message) => {
  const calls = new FakeCalls();
  if (refusal !== undefined) calls.refusals.set("/run/netns/blue", refusal);
  let done = false;
  const act = () => {
    done = true;
  };
  expect(() => inNamespace(netns, act, calls)).toThrow(expect.objectContaining({ message, errno, command: "setns" }));
  expect(done).toBe(false);
  expect(calls.leaked).toBe(0);
});

test("what is held is known by its file: the namespace of this process is, an empty file is none", () => {
  const held = new HeldNamespace("/proc/self/ns/net");
  expect(held.flaw()).toBeUndefined();
  held.release();
  const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-netns-"));
  const path = join(directory, "blue");
  try {
    expect(() => new HeldNamespace(path)).toThrow(
      `network namespace ${path} does not exist (${path}); it is waited for`,
    );
    // As `ip netns add` has it for a moment.
    writeFileSync(path, "");
    expect(() => new HeldNamespace(path)).toThrow(`${path} is no network namespace (yet); it is waited for`);
    expect(() => new HeldNamespace("/proc/self/ns/mnt")).toThrow("is no network namespace");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
