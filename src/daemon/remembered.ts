import { createHmac } from "node:crypto";
import type {
  AuthenticationConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../control/configuration.ts";
import { same } from "../control/same.ts";

type Manner = Omit<AuthenticationConfiguration, "secrets" | "chapPassword">;

/** What a tunnel was configured as, without its secrets: of them only what tells whether they are still the same. */
export interface RememberedTunnel {
  readonly tunnel: Omit<TunnelConfiguration, "sessions" | "authentication">;
  readonly authentication: Manner & { readonly secrets: readonly string[]; readonly chapPassword: string | undefined };
  readonly sessions: readonly SessionConfiguration[];
}

/** `salt`: drawn for one succession of processes, so that the same secret looks different elsewhere. */
export function remembered(configuration: TunnelConfiguration, salt: Uint8Array): RememberedTunnel {
  const { sessions, authentication, ...tunnel } = configuration;
  const { secrets, chapPassword, ...manner } = authentication;
  const proof = (secret: Uint8Array) => createHmac("sha256", salt).update(secret).digest("hex");
  const proofs = secrets.map(proof);
  const chap = chapPassword === undefined ? undefined : proof(chapPassword);
  return { tunnel, authentication: { ...manner, secrets: proofs, chapPassword: chap }, sessions };
}

/**
 * Whether a tunnel is configured as it was, in all that the older one knows: a newer version of the program may have more to
 * say of it.
 */
export function isAsRemembered(
  before: RememberedTunnel | undefined,
  configuration: TunnelConfiguration,
  salt: Uint8Array,
): boolean {
  if (before === undefined) return false;
  const now = remembered(configuration, salt);
  const { sessions } = now;
  const isSameSession = (session: SessionConfiguration, i: number) => agrees(session, sessions[i] ?? {});
  return (
    agrees(before.tunnel, now.tunnel) &&
    agrees(before.authentication, now.authentication) &&
    before.sessions.length === sessions.length &&
    before.sessions.every(isSameSession)
  );
}

/**
 * The configuration that an earlier process went by. What it did not know is as it is `now`, and so are the secrets;
 * `secretNow` tells where one of its secrets stands among them, -1: nowhere. `undefined`: its secrets are nowhere any more.
 */
export function asRemembered(
  before: RememberedTunnel,
  now: TunnelConfiguration | undefined,
  salt: Uint8Array,
): { readonly configuration: TunnelConfiguration; secretNow(index: number): number } | undefined {
  const { secrets: proofs, chapPassword: chap, ...manner } = before.authentication;
  if (now === undefined && (proofs.length > 0 || chap !== undefined)) return undefined;
  const { secrets = [], chapPassword } = now?.authentication ?? {};
  const sessions = new Map(now?.sessions.map((session) => [session.name, session]));
  const present = now === undefined ? [] : remembered(now, salt).authentication.secrets;
  return {
    configuration: {
      ...now,
      ...before.tunnel,
      authentication: { ...now?.authentication, ...manner, secrets, chapPassword },
      sessions: before.sessions.map((session) => ({ ...sessions.get(session.name), ...session })),
    },
    secretNow: (index) => present.indexOf(proofs[index] ?? ""),
  };
}

function agrees(before: object, now: object): boolean {
  const values = new Map<string, unknown>(Object.entries(now));
  return Object.entries(before).every(([key, value]) => same(value, values.get(key)));
}
