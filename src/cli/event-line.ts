import type { DaemonEvent } from "../daemon/event-feed.ts";
import { printable } from "./terminal.ts";

/** `12:00:01.123  warn  session-down  paris/lan42: session is down on l2-paris42: …`. The time is the machine's. */
export function eventLine({ time, level, event, tunnel, session, message }: DaemonEvent): string {
  const place = [tunnel, session].filter((name) => name !== undefined).join("/");
  const words = place === "" ? message : `${place}: ${message}`;
  return printable(`${clockTime(time)}  ${level.padEnd(5)}  ${event}  ${words}`);
}

/** Of the machine's time zone, with milliseconds. */
export function clockTime(iso: string): string {
  const date = new Date(iso);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
