import { describe, expect, test } from "vitest";
import {
  collapseCongestionWindow,
  createCongestionWindow,
  openCongestionWindow,
} from "../../../src/control/congestion-window.ts";

const PEER_WINDOW = 16;

/** The sizes after each acknowledged message. */
function sizes(count: number, congestion = createCongestionWindow(PEER_WINDOW), peerWindow = PEER_WINDOW) {
  return Array.from({ length: count }, () => {
    openCongestionWindow(congestion, peerWindow);
    return congestion.size;
  });
}

describe("congestion window (RFC 3931 appendix A)", () => {
  test("C15 it begins with one message, below the peer's window", () => {
    expect(createCongestionWindow(PEER_WINDOW)).toEqual({ size: 1, threshold: PEER_WINDOW, credit: 0 });
  });

  test("C15 slow start: one more with each acknowledged message, up to the peer's window", () => {
    expect(sizes(18)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16]);
  });

  test("C15 congestion avoidance: one more with each full window", () => {
    const congestion = { size: 2, threshold: 2, credit: 0 };
    // 2 acknowledgements make 3, 3 more make 4, 4 more make 5.
    expect(sizes(9, congestion)).toEqual([2, 3, 3, 3, 4, 4, 4, 4, 5]);
  });

  test.each([
    [1, 1],
    [2, 1],
    [3, 1],
    [8, 4],
    [9, 4],
    [16, 8],
  ])("C15 a retransmission at size %i leaves size 1 and threshold %i", (size, threshold) => {
    const congestion = { size, threshold: PEER_WINDOW, credit: 3 };
    collapseCongestionWindow(congestion);
    expect(congestion).toEqual({ size: 1, threshold, credit: 0 });
  });

  test("C15 after a retransmission: slow start to half, then steps", () => {
    const congestion = { size: 8, threshold: PEER_WINDOW, credit: 0 };
    collapseCongestionWindow(congestion);
    expect(sizes(8, congestion)).toEqual([2, 3, 4, 4, 4, 4, 5, 5]);
  });

  test.each([1, 2, 4])("C14 a peer's window of %i is never exceeded", (peerWindow) => {
    expect(Math.max(...sizes(100, createCongestionWindow(peerWindow), peerWindow))).toBe(Math.max(1, peerWindow));
  });
});
