/** What a line counts; they only grow, over all its connections. */

/** Counters of a line. */
export type LineCounters = {
  /** Messages sent and received, network management and unreadable ones included. */
  sent: number;
  received: number;
  /** Answers handed to their requests. */
  matched: number;
  /** Requests that ended without an answer in time. */
  expired: number;
  /** Answers to expired requests: handed to the late handler once each. */
  late: number;
  /** Answers that fit no request, or several: handed to the late handler, too. */
  unmatched: number;
  /** Requests refused because their key was in flight. */
  duplicates: number;
  /** Requests that found no place in time: surely not sent. */
  busy: number;
  /** Requests that a node on the way sent back unprocessed. */
  rejected: number;
  /** Messages that could not be read in a frame that could. */
  unreadable: number;
  /** Messages between other institutions. */
  misrouted: number;
  /** Requests of the peer dropped because too many were being answered. */
  overloaded: number;
  /** Frames of length 0. */
  keepAlives: number;
};

/** Counters, and how full the line is now. */
export type LineStats = Readonly<LineCounters> & {
  readonly inFlight: number;
  readonly queued: number;
};

/** All zero. */
export function newCounters(): LineCounters {
  return {
    sent: 0,
    received: 0,
    matched: 0,
    expired: 0,
    late: 0,
    unmatched: 0,
    duplicates: 0,
    busy: 0,
    rejected: 0,
    unreadable: 0,
    misrouted: 0,
    overloaded: 0,
    keepAlives: 0,
  };
}

/** Adds up the figures of several lines. */
export function sumStats(all: Iterable<LineStats>): LineStats {
  const sum: Record<string, number> = { ...newCounters(), inFlight: 0, queued: 0 };
  for (const stats of all) {
    for (const [name, value] of Object.entries(stats)) sum[name] = (sum[name] ?? 0) + value;
  }
  return sum as LineStats;
}
