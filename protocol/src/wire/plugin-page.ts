/**
 * A page of the gateway <-> the extension's content script in that page, by `window.postMessage` to
 * the page's own origin. Both sides take only messages of the same window and origin; everything
 * else on that bus, and every forged reply of another frame, is not ours and comes back as null.
 */
import type { AgentHealth, AgentMessage, PageMessage } from './agent.ts';
import type { DoctorReport } from './doctor.ts';

/** Why the way from extension to host broke, or never was. */
export const NATIVE_FAULT_CODES = [
  /** The browser finds no host manifest of our name. */
  'ERR_HOST_MISSING',
  /** The host's manifest does not name this extension. */
  'ERR_HOST_FORBIDDEN',
  'ERR_HOST_EXITED',
  /** What the host wrote is no frame of ours. */
  'ERR_HOST_PROTOCOL',
  /** The host did not say hello in time. */
  'ERR_HOST_TIMEOUT',
  /** The host speaks only older versions of the native frames. */
  'ERR_HOST_OUTDATED',
  /** The host speaks only newer versions of the native frames. */
  'ERR_EXTENSION_OUTDATED',
  /** Another version of the extension came: this page needs its content script anew. */
  'ERR_EXTENSION_RELOADED',
  /** What the page sent is longer than `AGENT_MESSAGE_BYTES_MAX`. */
  'ERR_MESSAGE_TOO_LARGE',
  /** A frame that is neither the tab's top frame nor of a gateway, or one with too many ports. */
  'ERR_FRAME_NOT_ALLOWED',
  /** A page that is no gateway's. */
  'ERR_ORIGIN',
  /** The browser stopped the extension's worker under an open port. */
  'ERR_WORKER_STOPPED',
] as const;
export type NativeFaultCode = (typeof NATIVE_FAULT_CODES)[number];

/** `here` of a content script that has just arrived and knows no transport yet. */
export const PLUGIN_EVERY_CHANNEL = '*';
/** Longest name of a channel; a transport uses a UUID. */
const CHANNEL_CHARACTERS_MAX = 64;

/** What the host says first. */
export type HostHello = {
  /** Semantic version of the host. */
  readonly version: string;
  /** Versions of the native frames that it speaks. */
  readonly protocol: { readonly min: number; readonly max: number };
  readonly element: AgentHealth['element'];
  readonly readers: AgentHealth['readers'];
};

/** From the page: what it wants of the extension. */
export type ToPluginBody =
  /** Answered by `here`, or by `lost` `ERR_EXTENSION_RELOADED`. */
  | { readonly kind: 'ping' }
  /** Opens the way to a host of this channel's own; answered by `hello` or `lost`. */
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly message: PageMessage }
  /** Brings the extension's window to the front, or opens it. */
  | { readonly kind: 'show' }
  /** Answered by `report`. */
  | { readonly kind: 'doctor' }
  /** Has the browser look for another version now; a newer one says `here` when it has come. */
  | { readonly kind: 'update' }
  /** The host ends at once. */
  | { readonly kind: 'close' };

/** To the page. */
export type ToPageBody =
  /** `version` is the extension's. Also unasked, on `PLUGIN_EVERY_CHANNEL`. */
  | { readonly kind: 'here'; readonly version: string }
  | ({ readonly kind: 'hello' } & HostHello)
  | { readonly kind: 'message'; readonly message: AgentMessage }
  | { readonly kind: 'report'; readonly report: DoctorReport }
  /** The way is closed; `detail` is the browser's own text. The page may open it again. */
  | { readonly kind: 'lost'; readonly code: NativeFaultCode; readonly detail: string };

type On<Direction extends string, Body> = Body & {
  readonly tapnpay: Direction;
  /** A UUID of the page's transport; answers carry the channel of the question. */
  readonly channel: string;
};
export type ToPlugin = On<'toPlugin', ToPluginBody>;
export type ToPage = On<'toPage', ToPageBody>;

/** The page's message in a `message` event's data; null for everything else. */
export function toPluginOf(data: unknown): ToPlugin | null {
  return isMessageOf(data, 'toPlugin', PLUGIN_CHECKS) ? (data as ToPlugin) : null;
}

/** The content script's message in a `message` event's data; null for everything else. */
export function toPageOf(data: unknown): ToPage | null {
  return isMessageOf(data, 'toPage', PAGE_CHECKS) ? (data as ToPage) : null;
}

type Fields = Readonly<Record<string, unknown>>;
type Checks<Kind extends string> = Readonly<Record<Kind, (fields: Fields) => boolean>>;

// Light on purpose: the worker and the host judge what is inside, and this runs on every page.
const PLUGIN_CHECKS: Checks<ToPluginBody['kind']> = {
  ping: always,
  open: always,
  message: hasMessage,
  show: always,
  doctor: always,
  update: always,
  close: always,
};

const PAGE_CHECKS: Checks<ToPageBody['kind']> = {
  here: ({ version }) => typeof version === 'string',
  hello: ({ version, protocol, element, readers }) =>
    typeof version === 'string' &&
    isRecord(protocol) &&
    isRecord(element) &&
    typeof element['state'] === 'string' &&
    Array.isArray(readers),
  message: hasMessage,
  report: ({ report }) => isRecord(report) && Array.isArray(report['checks']),
  lost: ({ code, detail }) => isNativeFaultCode(code) && typeof detail === 'string',
};

/** Whether a text is one of `NATIVE_FAULT_CODES`. */
export function isNativeFaultCode(code: unknown): code is NativeFaultCode {
  return NATIVE_FAULT_CODES.some((known) => known === code);
}

function hasMessage({ message }: Fields): boolean {
  return isRecord(message) && typeof message['type'] === 'string';
}

function always(): boolean {
  return true;
}

function isMessageOf<Kind extends string>(
  data: unknown,
  direction: 'toPlugin' | 'toPage',
  checks: Checks<Kind>,
): boolean {
  if (!isRecord(data) || data['tapnpay'] !== direction) return false;
  const { channel, kind } = data;
  const isNamed = typeof channel === 'string' && channel.length <= CHANNEL_CHARACTERS_MAX;
  if (!isNamed || channel === '' || typeof kind !== 'string') return false;
  return Object.hasOwn(checks, kind) && checks[kind as Kind](data);
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
