import { ConfigError } from "../../../src/config/config-error.ts";
import { parseSite } from "../../../src/config/load.ts";

/** The message for a file "site.toml" with this text; fails where the text is accepted. */
export function complaint(toml: string): string {
  try {
    parseSite(toml, "site.toml");
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("accepted");
}
