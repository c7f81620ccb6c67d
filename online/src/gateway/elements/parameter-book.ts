/**
 * The parameter sets of an installation: published by number under the parameter-update key, told
 * to every application at its next contact. One process asks the database once a second at most.
 */
import type { Clock } from '@tapnpay/protocol/bytes';
import {
  encodeParameterSet,
  type ParameterContent,
  type ParameterSet,
  type ParameterVersions,
  readParameterSet,
  type SignedParameterSet,
} from '@tapnpay/protocol/wire';
import { GatewayError } from '../errors.ts';
import type { PublishedParameters } from './model.ts';
import type { ElementStore } from './store.ts';

const DAY_MS = 86_400_000;
/** Term of a set when its publisher names none. */
export const TERM_DAYS_DEFAULT = 366;
/** An installation's own set is published anew so long before its end. */
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** By how much the clock of another gateway, or this one's after a correction, may be behind. */
const CLOCK_TOLERANCE_MS = 2 * DAY_MS;
/** How old an answer of the database may be. */
const FRESH_MS = 1_000;
/** Publisher of the sets that the installation makes by itself. */
export const INSTALLATION = 'installation';

/** What a set is published with. */
export type Publication = {
  readonly content: ParameterContent;
  /** The newest version that the publisher knows: between two, one loses. */
  readonly afterVersion: number;
  readonly minimum: 'unchanged' | 'thisVersion';
  readonly termDays: number;
  readonly by: string;
};

/** Sets as they stand, for those who tell them and those who check by them. */
export class ParameterBook {
  readonly #store: Pick<ElementStore, 'newestParameters' | 'publishParameters'>;
  readonly #clock: Clock;
  readonly #sign: (text: string) => string;
  #known: { readonly newest: PublishedParameters; readonly set: ParameterSet } | null = null;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(facts: {
    readonly store: Pick<ElementStore, 'newestParameters' | 'publishParameters'>;
    readonly clock: Clock;
    /** By the parameter-update key, P1363 hex. */
    readonly sign: (text: string) => string;
  }) {
    this.#store = facts.store;
    this.#clock = facts.clock;
    this.#sign = facts.sign;
  }

  /** Before traffic: the installation's own set is the newest, unless an operator has published. */
  async ensure(content: ParameterContent): Promise<void> {
    const newest = await this.#store.newestParameters();
    if (newest !== null && newest.publishedBy !== INSTALLATION) return;
    if (newest !== null && this.#isCurrent(newest, content)) return;
    const publication = { content, minimum: 'unchanged', termDays: TERM_DAYS_DEFAULT } as const;
    const afterVersion = newest?.version ?? 0;
    await this.publish({ ...publication, afterVersion, by: INSTALLATION });
  }

  #isCurrent(newest: PublishedParameters, content: ParameterContent): boolean {
    const { validUntilMs, ...set } = readParameterSet(newest.body);
    const { version, issuedAtMs, validFromMs } = set;
    const same = encodeParameterSet({
      ...content,
      ...{ format: '1', version, issuedAtMs, validFromMs, validUntilMs },
    });
    return same === newest.body && validUntilMs - RENEW_BEFORE_MS > this.#clock.nowMs();
  }

  /** The set in force. @throws GatewayError `ERR_INTERNAL`: none was ever published. */
  async newest(): Promise<PublishedParameters> {
    return (await this.#read()).newest;
  }

  /** As it is sent to an application. @throws GatewayError `ERR_INTERNAL`. */
  async signed(): Promise<SignedParameterSet> {
    const { body, signature } = await this.newest();
    return { body, signature };
  }

  /** @throws GatewayError `ERR_INTERNAL`. */
  async versions(): Promise<ParameterVersions> {
    const { version, minimumVersion } = await this.newest();
    return { newest: version, minimum: minimumVersion };
  }

  /** The largest amount that any application takes by tap; 0 when none does. */
  async tapLimitMinor(): Promise<bigint> {
    const { set } = await this.#read();
    let most = 0n;
    for (const { contactless } of set.aids) {
      const limit = BigInt(contactless?.transactionLimitMinor ?? '0');
      if (limit > most) most = limit;
    }
    return most;
  }

  /**
   * Signs and publishes the next version.
   * @throws GatewayError `ERR_PARAMETERS_VERSION`; WireError of a content that is none.
   */
  async publish(publication: Publication): Promise<PublishedParameters> {
    const { content, afterVersion, minimum, termDays, by } = publication;
    const newest = await this.#store.newestParameters();
    const version = afterVersion + 1;
    if ((newest?.version ?? 0) !== afterVersion) throw anotherVersion();
    const nowMs = this.#clock.nowMs();
    const term = {
      issuedAtMs: nowMs,
      validFromMs: nowMs - CLOCK_TOLERANCE_MS,
      validUntilMs: nowMs + termDays * DAY_MS,
    };
    const body = encodeParameterSet({ ...content, format: '1', version, ...term });
    readParameterSet(body);
    const published: PublishedParameters = {
      ...{ version, body, signature: this.#sign(body) },
      minimumVersion: minimum === 'thisVersion' ? version : (newest?.minimumVersion ?? 0),
      ...{ publishedAtMs: nowMs, publishedBy: by },
    };
    if ((await this.#store.publishParameters(published)) === 'exists') throw anotherVersion();
    this.#askedAtMs = Number.NEGATIVE_INFINITY;
    return published;
  }

  async #read(): Promise<{ readonly newest: PublishedParameters; readonly set: ParameterSet }> {
    const nowMs = this.#clock.nowMs();
    if (this.#known !== null && nowMs - this.#askedAtMs < FRESH_MS) return this.#known;
    const newest = await this.#store.newestParameters();
    if (newest === null) throw new GatewayError('ERR_INTERNAL', 'no parameters were published');
    this.#askedAtMs = nowMs;
    if (this.#known?.newest.version !== newest.version) {
      this.#known = { newest, set: readParameterSet(newest.body) };
    }
    return this.#known;
  }
}

function anotherVersion(): GatewayError {
  return new GatewayError('ERR_PARAMETERS_VERSION', 'another set was published meanwhile');
}
