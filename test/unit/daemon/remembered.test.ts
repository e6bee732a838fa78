import { deserialize, serialize } from "node:v8";
import { describe, expect, test } from "vitest";
import { asRemembered, isAsRemembered, type RememberedTunnel, remembered } from "../../../src/daemon/remembered.ts";
import { authentication, OTHER_SECRET, SECRET } from "../../support/authenticated-sites.ts";
import { session, tunnel } from "../../support/sites.ts";

const SALT = Uint8Array.of(9, 9);
const PARIS = tunnel("paris", { peer: "192.0.2.1", authentication: authentication({ secrets: [SECRET] }) });

/** As it is read back. */
const written = (configuration = PARIS): RememberedTunnel => deserialize(serialize(remembered(configuration, SALT)));

describe("what a tunnel was configured as", () => {
  test("is the same as long as nothing is changed", () => {
    expect(isAsRemembered(written(), PARIS, SALT)).toBe(true);
    expect(isAsRemembered(undefined, PARIS, SALT)).toBe(false);
  });

  test.each([
    ["a key", { ...PARIS, helloIntervalMs: 1 }],
    ["a secret", { ...PARIS, authentication: authentication({ secrets: [OTHER_SECRET] }) }],
    ["the kind of digest", { ...PARIS, authentication: authentication({ secrets: [SECRET], digest: "sha1" }) }],
    ["a session more", { ...PARIS, sessions: [...PARIS.sessions, session("more")] }],
    ["a session's address", { ...PARIS, sessions: [session("lan42", { addresses: ["10.0.0.1/24"] })] }],
  ] as const)("is another with %s", (_, configuration) => {
    expect(isAsRemembered(written(), configuration, SALT)).toBe(false);
  });

  test("is the same where a newer program knows keys that it did not", () => {
    const newer = { ...PARIS, invented: true, sessions: [{ ...session("lan42"), invented: true }] };
    expect(isAsRemembered(written(), newer, SALT)).toBe(true);
    expect(asRemembered(written(), newer, SALT)?.configuration).toEqual(newer);
  });

  test("has the secrets of today, and knows where they stood", () => {
    const authenticationNow = authentication({ secrets: [OTHER_SECRET, SECRET], hidden: true });
    const now = { ...PARIS, helloIntervalMs: 1, authentication: authenticationNow };
    const found = asRemembered(written(), now, SALT);
    expect(found?.configuration).toMatchObject({
      helloIntervalMs: PARIS.helloIntervalMs,
      authentication: { secrets: [OTHER_SECRET, SECRET], hidden: PARIS.authentication.hidden },
    });
    expect([0, 1, -1].map((index) => found?.secretNow(index))).toEqual([1, -1, -1]);
    expect(JSON.stringify(remembered(PARIS, SALT))).not.toContain(Buffer.from(SECRET).toString());
  });

  test("cannot be had without the secrets, and can where there were none", () => {
    expect(asRemembered(written(), undefined, SALT)).toBeUndefined();
    const open = tunnel("open", { peer: "192.0.2.1" });
    expect(asRemembered(written(open), undefined, SALT)?.configuration).toMatchObject({ name: "open" });
  });
});
