import { describe, expect, test } from "vitest";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import { openTap } from "../../../src/kernel/tap.ts";

describe("a TAP device's name", () => {
  // The kernel would make "tap0" of the first, and cut the last to 15 characters.
  test.each(["tap%d", "", "sixteen-octets-x", "fünfzehn-zeichen"])(
    "%j is refused before the kernel is asked",
    (name) => {
      expect(() => openTap(name)).toThrow(KernelError);
      expect(() => openTap(name)).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    },
  );
});
