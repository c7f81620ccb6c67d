/**
 * The time line's scale: as long as machines work it is true to time; while a person is waited for
 * it is shortened, so that milliseconds stay visible beside seconds.
 */
import type { TraceDocument, TraceHop } from '@tapnpay/protocol/wire';

/** A pause longer than this is a wait. */
const WAIT_MS = 250;
/** How much of the line a wait takes, in milliseconds' worth. */
const WAIT_WORTH_MS = 90;

/** Begin and end of a hop, milliseconds since the order. */
export type Stretch = { readonly startMs: number; readonly endMs: number };
/** A shortened pause; places are parts of 1. */
export type Wait = { readonly from: number; readonly to: number; readonly ms: number };

/** Where instants stand on the line. */
export type Scale = {
  /** 0 to 1. */
  readonly place: (ms: number) => number;
  readonly waits: readonly Wait[];
  /** Time in which something happened. */
  readonly activeMs: number;
};

/** From the first thing that was seen in a hop to its last; null for a hop without any. */
export function stretchOf(hop: TraceHop): Stretch | null {
  const times = [...(hop.ms === null ? [] : [hop.ms]), ...hop.items.map(({ ms }) => ms)];
  if (times.length === 0) return null;
  return { startMs: Math.max(0, Math.min(...times)), endMs: Math.max(0, ...times) };
}

/** The scale of a document. */
export function scaleOf(document: TraceDocument): Scale {
  const times = document.hops.flatMap((hop) => [
    ...(hop.ms === null ? [] : [hop.ms]),
    ...hop.items.map(({ ms }) => ms),
  ]);
  const instants = [...new Set([0, ...times.filter((ms) => ms >= 0)])].sort((a, b) => a - b);
  const worths: number[] = [0];
  let activeMs = 0;
  for (let index = 1; index < instants.length; index++) {
    const gapMs = (instants[index] ?? 0) - (instants[index - 1] ?? 0);
    if (gapMs <= WAIT_MS) activeMs += gapMs;
    worths.push((worths.at(-1) ?? 0) + (gapMs > WAIT_MS ? WAIT_WORTH_MS : gapMs));
  }
  const total = Math.max(1, worths.at(-1) ?? 1);
  const waits = instants.flatMap((ms, index) => {
    const beforeMs = instants[index - 1] ?? ms;
    if (ms - beforeMs <= WAIT_MS) return [];
    const from = (worths[index - 1] ?? 0) / total;
    return [{ from, to: (worths[index] ?? 0) / total, ms: ms - beforeMs }];
  });
  const place = (ms: number): number => {
    const index = instants.findLastIndex((instant) => instant <= ms);
    return (worths[Math.max(0, index)] ?? 0) / total;
  };
  return { place, waits, activeMs };
}

/** `0.4 ms`, `12 ms`, `3.20 s`. */
export function durationText(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const hundredths = Math.round(ms / 10);
  const rest = String(hundredths % 100).padStart(2, '0');
  return `${Math.floor(hundredths / 100)}.${rest} s`;
}
