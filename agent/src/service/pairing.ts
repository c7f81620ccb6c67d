/**
 * Which browsers and pages may talk to the agent. A person brings the code from the agent's
 * terminal to the agent's window; the browser gets a cookie, a gateway's page gets a token that is
 * bound to its origin. Only digests are kept.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, errorBody, type RandomSource } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  countShape,
  listShape,
  nullableShape,
  objectShape,
  type PairingRequest,
  type Shape,
  textShape,
} from '@tapnpay/protocol/wire';
import { replaceFile } from '../durable-file.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import { WindowedCount } from './rate.ts';

/** Wrong codes in a minute before all are refused for its rest. */
export const PAIRING_TRIES_MAX = 5;
const PAIRING_WINDOW_MS = 60_000;
/** Browsers known at one time, and pages; the oldest of a kind is forgotten for a new one. */
export const PAIRED_MAX = 64;
const SECRET_BYTES = 32;
const CODE_FILE = 'pairing-code';
const PAIRED_FILE = 'paired.json';
const PAIRED_VERSION = 1;
/** Crockford's alphabet: no I, L, O, U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_CHARACTERS = 8;
const CODE_PATTERN = /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/;

/** One paired browser (no origin) or page of an origin. */
type Paired = {
  readonly digest: string;
  readonly origin: string | null;
  readonly createdAtMs: number;
};

const pairedShape: Shape<{ version: number; paired: readonly Paired[] }> = objectShape({
  version: countShape(PAIRED_VERSION),
  paired: listShape(
    objectShape<Paired>({
      digest: textShape(64, /^[0-9a-f]{64}$/),
      origin: nullableShape(textShape(256)),
      createdAtMs: countShape(),
    }),
    2 * PAIRED_MAX,
  ),
});

/** What a granted request brings: a token for the page, a new cookie for the browser. */
export type Granted = { readonly token: string | null; readonly cookie: string | null };

export type PairingPorts = {
  /** `<dataDir>/agent`. */
  readonly directory: string;
  readonly gatewayOrigins: readonly string[];
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: AgentLog;
};

/** The pairings of one agent. */
export class Pairing {
  readonly #ports: PairingPorts;
  readonly #wrongCodes: WindowedCount;
  readonly #code: string;
  #paired: readonly Paired[];

  constructor(ports: PairingPorts) {
    this.#ports = ports;
    this.#wrongCodes = new WindowedCount(ports.clock, {
      max: PAIRING_TRIES_MAX,
      windowMs: PAIRING_WINDOW_MS,
    });
    this.#code = keptCode(ports);
    this.#paired = keptPairings(ports);
  }

  /**
   * Pairs a browser that knows the code, or that was paired before, and its page.
   * @throws ServiceError `ERR_ORIGIN`, `ERR_NOT_PAIRED`, `ERR_PAIRING_CODE`, `ERR_PAIRING_TRIES`.
   */
  grant(request: PairingRequest, cookie: string | null): Granted {
    const { code, origin } = request;
    if (code === null) {
      if (!this.isBrowser(cookie)) throw new ServiceError('ERR_NOT_PAIRED', 'pair this browser');
    } else this.#checkCode(code);
    if (origin !== null && !this.#ports.gatewayOrigins.includes(origin)) {
      throw new ServiceError('ERR_ORIGIN', 'this agent does not serve that page');
    }
    const newCookie = code === null ? null : this.#secret();
    const token = origin === null ? null : this.#secret();
    this.#keep([
      ...(newCookie === null ? [] : [this.#entry(newCookie, null)]),
      ...(token === null ? [] : [this.#entry(token, origin)]),
    ]);
    return { token, cookie: newCookie };
  }

  /** Whether the cookie is of a paired browser. */
  isBrowser(cookie: string | null): boolean {
    return cookie !== null && this.#has(cookie, null);
  }

  /** Whether the token was given to a page of this origin. */
  isPage(token: string | null, origin: string): boolean {
    return token !== null && this.#has(token, origin);
  }

  #checkCode(code: string): void {
    if (this.#wrongCodes.isUsedUp()) {
      throw new ServiceError('ERR_PAIRING_TRIES', 'too many wrong codes; wait a minute');
    }
    if (timingSafeEqual(digest(normalCode(code)), digest(this.#code.replace('-', '')))) return;
    this.#wrongCodes.note();
    throw new ServiceError('ERR_PAIRING_CODE', 'the pairing code is wrong');
  }

  /** Looks at every entry, so that time tells nothing. */
  #has(secret: string, origin: string | null): boolean {
    const wanted = digest(secret);
    let found = false;
    for (const entry of this.#paired) {
      const isSame = timingSafeEqual(wanted, Buffer.from(entry.digest, 'hex'));
      if (isSame && entry.origin === origin) found = true;
    }
    return found;
  }

  #secret(): string {
    return Buffer.from(this.#ports.random.bytes(SECRET_BYTES)).toString('base64url');
  }

  #entry(secret: string, origin: string | null): Paired {
    const createdAtMs = this.#ports.clock.nowMs();
    return { digest: digest(secret).toString('hex'), origin, createdAtMs };
  }

  /** Each kind by itself: tokens, which any page can have made in a gateway's name, are many. */
  #keep(entries: readonly Paired[]): void {
    if (entries.length === 0) return;
    const all = [...this.#paired, ...entries];
    this.#paired = [
      ...all.filter(({ origin }) => origin === null).slice(-PAIRED_MAX),
      ...all.filter(({ origin }) => origin !== null).slice(-PAIRED_MAX),
    ];
    const file = { version: PAIRED_VERSION, paired: this.#paired };
    replaceFile(join(this.#ports.directory, PAIRED_FILE), `${JSON.stringify(file)}\n`);
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** As people type it: in either case, with or without the hyphen, O for 0, I or L for 1. */
function normalCode(code: string): string {
  return code.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
}

/** The code outlives a restart, so that what a person wrote down stays right. */
function keptCode({ directory, random }: PairingPorts): string {
  const path = join(directory, CODE_FILE);
  if (existsSync(path)) {
    const kept = readFileSync(path, 'utf8').trim();
    if (CODE_PATTERN.test(kept)) return kept;
  }
  // 256 is a multiple of 32: no character is more likely than another.
  const characters = [...random.bytes(CODE_CHARACTERS)].map((byte) => ALPHABET[byte % 32]).join('');
  const code = `${characters.slice(0, 4)}-${characters.slice(4)}`;
  replaceFile(path, `${code}\n`);
  return code;
}

/** A list that cannot be read pairs nobody; people pair again. */
function keptPairings({ directory, log }: PairingPorts): readonly Paired[] {
  const path = join(directory, PAIRED_FILE);
  if (!existsSync(path)) return [];
  try {
    return checkShape(pairedShape, JSON.parse(readFileSync(path, 'utf8')), PAIRED_FILE).paired;
  } catch (fault) {
    log({ event: 'pairingsLost', code: errorBody(fault).code });
    return [];
  }
}
