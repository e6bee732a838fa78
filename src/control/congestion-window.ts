/** Slow start and congestion avoidance for control messages (RFC 3931 appendix A). Plain data. */
export interface CongestionWindow {
  /** Messages that may be in flight, 1 or more; the peer's receive window is a second limit. */
  size: number;
  /** Below it each acknowledged message opens the window by one, above it each full window does. */
  threshold: number;
  /** Acknowledged messages counted towards the next opening in congestion avoidance. */
  credit: number;
}

export function createCongestionWindow(peerWindow: number): CongestionWindow {
  return { size: 1, threshold: peerWindow, credit: 0 };
}

/** One message was acknowledged. */
export function openCongestionWindow(congestion: CongestionWindow, peerWindow: number): void {
  if (congestion.size >= peerWindow) return;
  if (congestion.size < congestion.threshold) {
    congestion.size += 1;
    return;
  }
  congestion.credit += 1;
  if (congestion.credit < congestion.size) return;
  congestion.size += 1;
  congestion.credit = 0;
}

/** A message had to be retransmitted. */
export function collapseCongestionWindow(congestion: CongestionWindow): void {
  congestion.threshold = Math.max(1, congestion.size >> 1);
  congestion.size = 1;
  congestion.credit = 0;
}
