/**
 * The extension's worker <-> the native messaging host, one port for one page: JSON frames that the
 * browser puts a length of 4 bytes in front of. The host speaks first. The worker adds where a page
 * is from; the page's own words pass in `page` frames, the extension's window's in `window` frames.
 * Longer frames pass in chunks (`native-chunks.ts`).
 */
import type {
  AgentHealth,
  AgentMessage,
  PageMessage,
  ReaderView,
  WindowError,
  WindowMessage,
  WindowView,
} from './agent.ts';
import type { DoctorReport } from './doctor.ts';
import type { NativeChunk } from './native-chunks.ts';

/** The host's name in every browser. */
export const NATIVE_HOST_NAME = 'org.tapnpay.host';
/** WebSocket of the running agent service that takes the same frames from a host of this user. */
export const AGENT_NATIVE_PATH = '/v1/native';
/** Longest wait for the other side's hello. */
export const NATIVE_HELLO_TIMEOUT_MS = 5_000;

/** Versions of these frames that a side speaks, both ends included. */
export type NativeProtocol = { readonly min: number; readonly max: number };
export const NATIVE_PROTOCOL: NativeProtocol = { min: 1, max: 1 };

/** Which page a port is for; from the browser, never from the page. */
export type NativePage = {
  readonly origin: string;
  /** -1 for a page that is in no tab. */
  readonly tabId: number;
  readonly frameId: number;
};

/** The host's first frame. */
export type NativeHostHello = {
  readonly type: 'hello';
  /** The host's own, by semver. */
  readonly version: string;
  readonly protocol: NativeProtocol;
  /** As it was last seen: the host asks no element for it. */
  readonly element: AgentHealth['element'];
  readonly readers: readonly ReaderView[];
};

/**
 * Host -> worker. A host that ends the port itself says why first: a `page` frame `refused` with
 * `ERR_ORIGIN`, `ERR_VERSION`, `ERR_SEQUENCE`, `ERR_FRAME_...`, `ERR_MESSAGE_FIELD`,
 * `ERR_AGENT_DOWN` or `ERR_INTERNAL`.
 */
export type NativeHostFrame =
  | NativeHostHello
  | { readonly type: 'page'; readonly message: AgentMessage }
  /** A view, and what a command was refused for; only while the window is open. */
  | { readonly type: 'window'; readonly message: WindowView | WindowError }
  /** Answer to `doctor`. */
  | { readonly type: 'report'; readonly report: DoctorReport }
  | NativeChunk;

/** The worker's first frame. */
export type NativeWorkerHello = {
  readonly type: 'hello';
  /** The extension's own, by semver. */
  readonly version: string;
  readonly protocol: NativeProtocol;
  readonly page: NativePage;
};

/** Worker -> host. A page's hello has no token: the browser lets nobody else to this port. */
export type NativeWorkerFrame =
  | NativeWorkerHello
  | { readonly type: 'page'; readonly message: PageMessage }
  | { readonly type: 'window'; readonly message: WindowMessage }
  /** The extension's window of this port is there, and is gone. */
  | { readonly type: 'windowOpened' }
  | { readonly type: 'windowClosed' }
  | { readonly type: 'doctor' }
  | NativeChunk;

/** Whether two sides have a version in common. */
export function nativeProtocolsMeet(one: NativeProtocol, other: NativeProtocol): boolean {
  return (
    one.min <= one.max && other.min <= other.max && one.min <= other.max && other.min <= one.max
  );
}
