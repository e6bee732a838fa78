import { existsSync, readFileSync } from "node:fs";

/** The version in package.json, which is two levels up from the sources and three from what is built of them. */
export function packageVersion(): string {
  const places = ["../../package.json", "../../../package.json"].map((place) => new URL(place, import.meta.url));
  const file = places.find((place) => existsSync(place));
  const description: unknown = file === undefined ? undefined : JSON.parse(readFileSync(file, "utf8"));
  const hasVersion = typeof description === "object" && description !== null && "version" in description;
  return hasVersion ? String(description.version) : "unknown";
}
