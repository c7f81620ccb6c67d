/** What the card asks of the outside: time, chance, ciphers, its store, verifier and applets. */
import type { Clock, ErrorBody, RandomSource } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import type { DataGrouping } from '../data/index.ts';
import type { CardState } from './state.ts';

/** Keeps the card's state. `commit` is all or nothing, also when the process is killed in it. */
export interface CardStore {
  load(): CardState;
  /** Throws when the new state was not kept; then the old one is. */
  commit(next: CardState): void;
}

/** Verifies the signatures of load files over the SHA-256 of `message`. @see GPCS 2.3.1 §C.3 */
export interface SignatureVerifier {
  /** RSASSA-PSS, salt of 32 bytes. @see RFC 8017 §8.1 */
  isRsaPss(
    key: { readonly modulus: Uint8Array; readonly exponent: Uint8Array },
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean;
  /** ECDSA on P-256; the key is 04, x, y, the signature r, s. */
  isEcdsaP256(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** An installed application as its runner sees it. */
export type AppletInstance = {
  readonly aid: string;
  readonly loadFileAid: string;
  readonly moduleAid: string;
  readonly code: Uint8Array;
  readonly persistent: Uint8Array;
  readonly lifeCycle: number;
};
/** What a call of an application gives; what it leaves out has not changed. */
export type AppletResult = {
  readonly response: ResponseApdu;
  readonly persistent?: Uint8Array;
  /** A state of its own, at least SELECTABLE. */
  readonly lifeCycle?: number;
};
/** Data of STORE DATA for an application, whole and deciphered. */
export type PersonalisationData = {
  readonly form: 'groupings' | 'tlv' | 'plain';
  readonly bytes: Uint8Array;
  /** Only in form `groupings`. */
  readonly groupings: readonly DataGrouping[];
};

/** The secure channel that an application may use: that of its domain. @see GPCS 2.3.1 §10 */
export interface AppletChannel {
  /** The level of the open session; null when there is none. */
  securityLevel(): number | null;
  /** INITIALIZE UPDATE and EXTERNAL AUTHENTICATE; refusals are answers. */
  authenticate(command: CommandApdu): ResponseApdu;
  /** The command in clear, or null when its protection is wrong: the session has ended. */
  unwrap(command: CommandApdu): CommandApdu | null;
  wrap(response: ResponseApdu): ResponseApdu;
  /** Deciphers whole blocks under the key for data; null without session or with half blocks. */
  decipher(blocks: Uint8Array): Uint8Array | null;
}

/**
 * Runs applications. It may keep live instances; what lasts is only what it gives back. Whatever
 * it throws becomes 6F00, changes nothing, and is reported.
 */
export interface AppletRunner {
  /** AIDs of the modules in a code; throws for code that is none. */
  modules(code: Uint8Array): readonly string[];
  /** The first persistent bytes of a new instance. */
  install(instance: AppletInstance, parameters: Uint8Array): Uint8Array;
  uninstall(instance: AppletInstance): void;
  select(instance: AppletInstance, command: CommandApdu): AppletResult;
  process(instance: AppletInstance, command: CommandApdu, channel: AppletChannel): AppletResult;
  personalise(instance: AppletInstance, data: PersonalisationData): AppletResult;
  deselect(aid: string): void;
  /** Drops what lives of an instance: its last call was undone. */
  forget(aid: string): void;
}

/** Everything. */
export type CardPorts = {
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly store: CardStore;
  readonly verifier: SignatureVerifier;
  readonly runner: AppletRunner;
  /** Faults of applications and store, for a log; they never hold keys. */
  readonly report: (fault: ErrorBody) => void;
};
