/** Lines between institutions: frames, matching, sign-on, key exchange, reconnection. */
export { LineError, type LineErrorCode } from './errors.ts';
export { encodeFrame, FrameDecoder } from './framing.ts';
export { HostLine, type HostLineOptions } from './host-line.ts';
export { HostLines, type HostLinesOptions } from './host-lines.ts';
export type { LineKeys } from './keys.ts';
export {
  LINE_TIMES,
  type LineState,
  type LineTimes,
  MemberLine,
  type MemberLineOptions,
} from './member-line.ts';
export { Multiplexer, type Reply } from './multiplexer.ts';
export { connectTcp, listenTcp, type TcpListener, tcpTransport } from './tcp.ts';
export { type Carrier, memoryLink, type Transport, type TransportEvents } from './transport.ts';
