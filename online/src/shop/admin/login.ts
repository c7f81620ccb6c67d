/** Who is the merchant: a password with few tries, then a session that a cookie holds. */
import { createHash } from 'node:crypto';
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { ShopError } from '../errors.ts';
import { RateLimit } from '../rate-limit.ts';
import type { ShopStore } from '../store.ts';
import { isPassword, PASSWORD_CHARACTERS_MAX } from './password.ts';

/** How long a session lasts. */
export const SESSION_LIFETIME_MS: number = 8 * 3_600_000;
const TOKEN_BYTES = 32;
/** Tries in a window before all are refused for its rest. */
export const LOGIN_TRIES_MAX = 5;
export const LOGIN_WINDOW_MS = 60_000;

/** Login and sessions of the one merchant. */
export class Login {
  readonly #store: ShopStore;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  readonly #hash: string;
  readonly #tries: RateLimit;

  constructor(ports: {
    readonly store: ShopStore;
    readonly random: RandomSource;
    readonly clock: Clock;
    readonly passwordHash: string;
  }) {
    this.#store = ports.store;
    this.#random = ports.random;
    this.#clock = ports.clock;
    this.#hash = ports.passwordHash;
    this.#tries = new RateLimit(ports.clock, { max: LOGIN_TRIES_MAX, windowMs: LOGIN_WINDOW_MS });
  }

  /**
   * A new session's token. The try is counted before the password is looked at, so that tries at
   * the same moment gain nothing. @throws ShopError `ERR_LOGIN`, `ERR_RATE`.
   */
  async open(password: string): Promise<string> {
    this.#tries.take();
    const isRight =
      password.length <= PASSWORD_CHARACTERS_MAX && (await isPassword(password, this.#hash));
    if (!isRight) throw new ShopError('ERR_LOGIN', 'the password is wrong');
    this.#tries.giveBack();
    const token = Buffer.from(this.#random.bytes(TOKEN_BYTES)).toString('base64url');
    const nowMs = this.#clock.nowMs();
    const expiresAtMs = nowMs + SESSION_LIFETIME_MS;
    await this.#store.addSession({ tokenHash: tokenHash(token), expiresAtMs }, nowMs);
    return token;
  }

  /** @throws ShopError `ERR_LOGIN_NEEDED`. */
  async assertOpen(token: string | null): Promise<void> {
    const isOpen =
      token !== null && (await this.#store.hasSession(tokenHash(token), this.#clock.nowMs()));
    if (!isOpen) throw new ShopError('ERR_LOGIN_NEEDED', 'there is no such session');
  }

  async close(token: string | null): Promise<void> {
    if (token !== null) await this.#store.removeSession(tokenHash(token));
  }
}

/** A stolen database opens no session. */
function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
