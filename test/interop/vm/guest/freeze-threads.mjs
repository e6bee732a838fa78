// freeze-threads.mjs PID SECONDS: makes the threads of a daemon that serve its datapath stand still. They wait in poll(2) or
// epoll_wait(2); the loops of Node itself, and so the main thread, wait in epoll_pwait(2), and go on.
import { readdirSync, readFileSync } from "node:fs";
import koffi from "koffi";

const PTRACE_SEIZE = 0x4206;
const PTRACE_INTERRUPT = 0x4207;
/** poll and epoll_wait, on x86-64. */
const WAITING = ["7", "232"];

const [pid, seconds] = process.argv.slice(2);
const ptrace = koffi.load(null).func("long ptrace(int request, int pid, intptr_t address, intptr_t data)");
const waiting = readdirSync(`/proc/${pid}/task`).filter((thread) => {
  return WAITING.includes(readFileSync(`/proc/${pid}/task/${thread}/syscall`, "utf8").split(" ")[0]);
});
const frozen = waiting.filter((thread) => {
  return ptrace(PTRACE_SEIZE, Number(thread), 0, 0) === 0 && ptrace(PTRACE_INTERRUPT, Number(thread), 0, 0) === 0;
});
console.log(`frozen ${frozen.length} of ${waiting.length} threads that wait: ${frozen.join(" ")}`);
// They go on when their tracer ends.
setTimeout(() => {}, Number(seconds) * 1000);
