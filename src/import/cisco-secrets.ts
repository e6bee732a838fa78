import type { ClassFacts } from "./cisco-facts.ts";
import type { Password } from "./cisco-password.ts";
import { entry, missing, type TunnelEntry } from "./draft.ts";
import type { Findings } from "./findings.ts";

type SecretKey = "secret" | "secret_previous" | "chap_password";

/** Shared secrets, digest, hiding and the password of challenges. */
export function authenticationEntries(control: ClassFacts, tunnel: string, findings: Findings): readonly TunnelEntry[] {
  const [newest, previous, ...more] = control.secrets ?? [];
  if (more.length > 0)
    findings.request(`tunnel ${tunnel}: the router has more than two secrets, here are the first two`);
  const secret = secretEntries("secret", newest, tunnel, findings);
  const isKnown = secret.some((each) => !each.missing);
  return [
    ...secret,
    ...(isKnown
      ? secretEntries("secret_previous", previous, tunnel, findings, "guessed which of the two is the older")
      : []),
    ...digestEntries(control),
    ...hiddenEntries(control, isKnown, tunnel, findings),
    ...challengeEntries(control, tunnel, findings),
  ];
}

function secretEntries(
  key: SecretKey,
  password: Password | undefined,
  tunnel: string,
  findings: Findings,
  note = "",
): readonly TunnelEntry[] {
  if (password === undefined) return [];
  if ("text" in password) return entry(key, password.text, note);
  findings.request(`tunnel ${tunnel}: put the ${key} in, which the router keeps in ${password.sealed}`);
  return missing(key, "…", `PUT it here: the router keeps it in ${password.sealed}`);
}

/** A router without digest signs nothing; over IP this end would. */
function digestEntries({ digest }: ClassFacts): readonly TunnelEntry[] {
  return entry(
    "digest",
    digest ?? "none",
    digest === undefined ? "the router signs nothing; a secret would be better" : "",
  );
}

function hiddenEntries(
  { hidden, secrets = [] }: ClassFacts,
  isKnown: boolean,
  tunnel: string,
  findings: Findings,
): readonly TunnelEntry[] {
  if (hidden !== true) return [];
  if (isKnown) return entry("hidden", true);
  if (secrets.length === 0) findings.request(`tunnel ${tunnel}: the router hides AVPs, which needs a secret here`);
  return missing("hidden", true, "as soon as secret is there");
}

function challengeEntries(
  { authentication, password }: ClassFacts,
  tunnel: string,
  findings: Findings,
): readonly TunnelEntry[] {
  if (authentication !== true) return [];
  if (password !== undefined) return secretEntries("chap_password", password, tunnel, findings);
  findings.request(`tunnel ${tunnel}: the router authenticates with a password that its l2tp-class does not have`);
  return missing("chap_password", "…", "PUT the router's password for this end here");
}
