/**
 * Sessions with a card as files that a scripted card replays: JSON lines, first a header, then one
 * exchange a line. Masked unless somebody asks otherwise.
 */
import { toHex } from '@tapnpay/protocol/bytes';
import type { CardInterface } from '@tapnpay/protocol/wire';
import type { CardProtocol, CardSession } from './readers/card-reader.ts';
import { decorateSession, observedChannel } from './readers/decorators.ts';
import { ReaderError, type ReaderErrorCode } from './readers/errors.ts';
import type { CardScript, ScriptStep } from './readers/scripted-card.ts';
import { maskExchanges, type RecordedExchange } from './recording-mask.ts';

export type { RecordedExchange } from './recording-mask.ts';

/** Layout version of a recording. */
export const RECORDING_VERSION = 1;
const FORMAT = 'tapnpay-card-recording';
/** Exchanges of one recording; a payment has some twenty. */
export const RECORDED_EXCHANGES_MAX = 10_000;
const RECORDING_CHARACTERS_MAX = 64 * 1024 * 1024;

/** First line of a recording. */
export type RecordingHeader = {
  readonly format: typeof FORMAT;
  readonly version: typeof RECORDING_VERSION;
  /** PAN, tracks, names and PIN data are replaced by sandbox data of the same length. */
  readonly masked: boolean;
  /** False for a masked one: the card's own certificates hold the PAN and were overwritten. */
  readonly certificatesVerify: boolean;
  readonly interface: CardInterface;
  readonly protocol: CardProtocol;
  /** Hex. */
  readonly atr: string;
};

/** Keeps one session; nothing is written before the session's end, for masking needs all of it. */
export class SessionRecorder {
  readonly #exchanges: RecordedExchange[] = [];
  #session: CardSession | null = null;

  /** The session to use from now on. */
  record(session: CardSession): CardSession {
    this.#session = session;
    return decorateSession(session, (card) =>
      observedChannel(card, ({ command, response, fault }) => {
        if (this.#exchanges.length === RECORDED_EXCHANGES_MAX) {
          throw recordingFault(`a recording has ${RECORDED_EXCHANGES_MAX} exchanges at most`);
        }
        this.#exchanges.push({
          command: toHex(command),
          ...(response === null ? {} : { response: toHex(response) }),
          ...(fault === null ? {} : { fault }),
        });
      }),
    );
  }

  /** What was exchanged so far. */
  exchanges(options: { readonly mode: 'masked' | 'unmasked' }): readonly RecordedExchange[] {
    return options.mode === 'masked' ? maskExchanges(this.#exchanges) : [...this.#exchanges];
  }

  /** The file's text. @throws ReaderError `ERR_READER_RECORDING` before any session. */
  text(options: { readonly mode: 'masked' | 'unmasked' }): string {
    const session = this.#session;
    if (session === null) throw recordingFault('nothing was recorded');
    const masked = options.mode === 'masked';
    const header: RecordingHeader = {
      format: FORMAT,
      version: RECORDING_VERSION,
      masked,
      certificatesVerify: !masked,
      interface: session.interface,
      protocol: session.protocol,
      atr: toHex(session.atr),
    };
    return [header, ...this.exchanges(options)].map((line) => `${JSON.stringify(line)}\n`).join('');
  }
}

/** A recording as it was read. */
export type Recording = {
  readonly header: RecordingHeader;
  readonly exchanges: readonly RecordedExchange[];
};

const HEX = /^(?:[0-9A-Fa-f]{2})+$/;

/** Reads a recording. @throws ReaderError `ERR_READER_RECORDING` with the line. */
export function parseRecording(text: string): Recording {
  if (text.length > RECORDING_CHARACTERS_MAX) throw recordingFault('the recording is too long');
  const [first = '', ...rest] = text.split('\n').filter((line) => line.trim() !== '');
  const header = parseLine(first, 1);
  const { masked, certificatesVerify, interface: by, protocol, atr } = header;
  const isKnown =
    header['format'] === FORMAT &&
    header['version'] === RECORDING_VERSION &&
    typeof masked === 'boolean' &&
    typeof certificatesVerify === 'boolean' &&
    (by === 'contact' || by === 'contactless') &&
    (protocol === 'T=0' || protocol === 'T=1');
  if (!isKnown || typeof atr !== 'string' || !HEX.test(atr)) {
    throw recordingFault(`line 1 is no header of version ${RECORDING_VERSION}`, 1);
  }
  if (rest.length > RECORDED_EXCHANGES_MAX) throw recordingFault('too many exchanges');
  return {
    header: {
      ...{ format: FORMAT, version: RECORDING_VERSION, masked, certificatesVerify },
      ...{ interface: by, protocol, atr: atr.toUpperCase() },
    },
    exchanges: rest.map((line, index) => parseExchange(line, index + 2)),
  };
}

type Line = Readonly<Record<string, unknown>>;

function parseLine(line: string, number: number): Line {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Line;
  } catch {
    // Told below, with its line.
  }
  throw recordingFault(`line ${number} is no JSON object`, number);
}

function parseExchange(text: string, number: number): RecordedExchange {
  const { command, response, fault } = parseLine(text, number);
  const isCommand = typeof command === 'string' && HEX.test(command);
  if (isCommand && typeof response === 'string' && HEX.test(response)) {
    return { command: command.toUpperCase(), response: response.toUpperCase() };
  }
  const isFault = typeof fault === 'string' && /^ERR_[A-Z0-9_]{1,60}$/.test(fault);
  if (isCommand && response === undefined && isFault) {
    return { command: command.toUpperCase(), fault };
  }
  throw recordingFault(`line ${number} is no exchange`, number);
}

/** The recording as a script for `scriptedReader`. */
export function recordingScript(
  recording: Recording,
  match: NonNullable<CardScript['match']> = 'bytes',
): CardScript {
  const steps = recording.exchanges.map(({ command, response, fault }): ScriptStep => {
    if (response !== undefined) return { command, response };
    return { command, fault: (fault ?? 'ERR_CARD_TRANSPORT') as ReaderErrorCode };
  });
  return { interface: recording.header.interface, atr: recording.header.atr, steps, match };
}

function recordingFault(message: string, line?: number): ReaderError {
  return new ReaderError('ERR_READER_RECORDING', message, line === undefined ? {} : { line });
}
