/** What is wrong with a datagram that has to be discarded without an answer (RFC 3931 7.1). */
export type ProtocolErrorCode = "malformed-header" | "unsupported-version" | "malformed-message-type";

/** The peer sent something that is no L2TPv3 control message. Nothing can be answered: whose it is, is unknown. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
