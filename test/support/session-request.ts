/** What the datapath is told of a session where nothing is configured: the least, without cookies. */
export const PLAIN_SESSION = {
  localCookie: new Uint8Array(0),
  remoteCookie: new Uint8Array(0),
  l2Sublayer: "none",
  sendSequencing: false,
  receiveSequencing: "none",
  reorderTimeoutMs: 20,
  sequenceWindow: 2 ** 23,
  resyncAfter: 5,
  vlan: undefined,
  mtu: "auto",
  bridge: undefined,
  isolated: false,
  addresses: [],
  routes: [],
} as const;
