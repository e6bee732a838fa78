/** One cell of a state table of RFC 3931 7: its id, the state, what happens, what is done, the state after it. */
export type StateRow<Event> = readonly [id: string, from: string, event: Event, effects: string, to: string];

interface PlainEvent {
  readonly type: string;
  readonly verdict?: string;
}

/** Effects as the RFC's tables have them: messages by name, actions by type. */
export function effectNames(effects: readonly { readonly type: string; readonly message?: string }[]): string {
  return effects.map(({ type, message }) => (type === "send" ? message : type)).join(", ");
}

export function rowKey(state: string, { type, verdict = "" }: PlainEvent): string {
  return `${state} | ${type} ${verdict}`;
}
