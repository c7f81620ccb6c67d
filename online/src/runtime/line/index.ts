/** Lines between institutions: frames, matching, sign-on, keys and their change, reconnection. */
export type { LineCounters, LineStats } from './counters.ts';
export { isSurelyUnsent, LineError, type LineErrorCode } from './errors.ts';
export { encodeFrame, FrameDecoder, type FrameFormat } from './framing.ts';
export { HostLines, type HostLinesOptions } from './host-lines.ts';
export type { LineKeys } from './keys.ts';
export { LINE_LIMITS, LINE_TIMES, type LineLimits, type LineTimes } from './limits.ts';
export { KeyIndex, type MatchKey, matchKeyOf, messagePair, requireMatchKey } from './match-key.ts';
export { type LineState, MemberLine, type MemberLineOptions } from './member-line.ts';
export { MemberLines, type MemberLinesOptions } from './member-lines.ts';
export { type Expectation, Multiplexer, type Settled } from './multiplexer.ts';
export type { Reply } from './session.ts';
export { connectTcp, listenTcp, type TcpListener, tcpTransport } from './tcp.ts';
export { type Carrier, memoryLink, type Transport, type TransportEvents } from './transport.ts';
