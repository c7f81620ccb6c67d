/**
 * What the agent and the process that calls the PC/SC library say to each other: one request a
 * line, one answer a line, JSON, bytes in hex. The process does nothing on its own.
 */

/** Longest APDU or answer of PC/SC, extended length and status word included. */
export const PCSC_BUFFER_BYTES_MAX = 65_548;
/** Readers looked at, at most. */
export const READERS_MAX = 32;
/** Longest name of a reader, in bytes. */
export const READER_NAME_BYTES_MAX = 128;
/** Longest wait of one request: the process hears of its parent's death in this time. */
export const WAIT_SLICE_MS = 1_000;

/** A reader's state as PC/SC numbers it; `state` is the last one seen, 0 for the first look. */
export type ReaderStateQuery = { readonly reader: string; readonly state: number };
/** The state now. */
export type ReaderStateAnswer = {
  readonly reader: string;
  readonly state: number;
  /** Hex, empty without a card. */
  readonly atr: string;
};

/** What happens to the card when it is let go. */
export type Disposition = 'leave' | 'reset' | 'unpower';

/** One call. The process holds one context and at most one card. */
export type PcscRequest =
  | { readonly op: 'list' }
  | {
      readonly op: 'wait';
      readonly timeoutMs: number;
      readonly states: readonly ReaderStateQuery[];
    }
  | { readonly op: 'connect'; readonly reader: string; readonly exclusive: boolean }
  | { readonly op: 'reconnect'; readonly exclusive: boolean; readonly disposition: Disposition }
  | { readonly op: 'status' }
  | { readonly op: 'begin' }
  | { readonly op: 'end'; readonly disposition: Disposition }
  | { readonly op: 'transmit'; readonly command: string }
  | { readonly op: 'features' }
  | { readonly op: 'control'; readonly code: number; readonly data: string }
  | { readonly op: 'disconnect'; readonly disposition: Disposition };

/** Answers by request. */
export type PcscResults = {
  readonly list: { readonly readers: readonly string[] };
  readonly wait: { readonly states: readonly ReaderStateAnswer[] };
  readonly connect: { readonly protocol: number; readonly atr: string };
  readonly reconnect: { readonly protocol: number; readonly atr: string };
  readonly status: { readonly protocol: number; readonly atr: string };
  readonly begin: Record<string, never>;
  readonly end: Record<string, never>;
  readonly transmit: { readonly response: string };
  /** Value of CM_IOCTL_GET_FEATURE_REQUEST: tag, length 4, control code; empty: none. */
  readonly features: { readonly data: string };
  readonly control: { readonly data: string };
  readonly disconnect: Record<string, never>;
};

/** What the process writes: a result, the library's own code, or that there is no library. */
export type PcscAnswer =
  | { readonly result: PcscResults[keyof PcscResults] }
  | { readonly pcscCode: number }
  | { readonly noLibrary: true };

/** PC/SC's result codes that mean something to us. */
export const PCSC = {
  SUCCESS: 0,
  F_INTERNAL_ERROR: 0x80100001,
  E_CANCELLED: 0x80100002,
  E_INVALID_HANDLE: 0x80100003,
  E_INSUFFICIENT_BUFFER: 0x80100008,
  E_UNKNOWN_READER: 0x80100009,
  E_TIMEOUT: 0x8010000a,
  E_SHARING_VIOLATION: 0x8010000b,
  E_NO_SMARTCARD: 0x8010000c,
  E_PROTO_MISMATCH: 0x8010000f,
  E_NOT_READY: 0x80100010,
  F_COMM_ERROR: 0x80100013,
  E_NOT_TRANSACTED: 0x80100016,
  E_READER_UNAVAILABLE: 0x80100017,
  E_NO_SERVICE: 0x8010001d,
  E_SERVICE_STOPPED: 0x8010001e,
  E_NO_READERS_AVAILABLE: 0x8010002e,
  E_COMM_DATA_LOST: 0x8010002f,
  W_UNSUPPORTED_CARD: 0x80100065,
  W_UNRESPONSIVE_CARD: 0x80100066,
  W_UNPOWERED_CARD: 0x80100067,
  W_RESET_CARD: 0x80100068,
  W_REMOVED_CARD: 0x80100069,
  /** Access refused; pcsclite says it of a service that was killed too. */
  W_SECURITY_VIOLATION: 0x8010006a,
} as const;

/** Bits of a reader's state. */
export const STATE = {
  CHANGED: 0x0002,
  UNKNOWN: 0x0004,
  UNAVAILABLE: 0x0008,
  EMPTY: 0x0010,
  PRESENT: 0x0020,
  MUTE: 0x0200,
} as const;

/** The pseudo reader whose state changes when readers come and go. */
export const PNP_READER = '\\\\?PnP?\\Notification';

/** A message as a line of ASCII: names of readers may hold anything. */
export function asciiLine(message: PcscRequest | PcscAnswer): string {
  const escaped = JSON.stringify(message).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${escaped}\n`;
}
