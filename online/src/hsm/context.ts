/** What a command runs in: one party's master key, caches and generators. */
import { type RandomSource, Secret } from '@tapnpay/protocol/bytes';
import { type CipherProvider, forgetKeySchedules, kcvAes } from '@tapnpay/protocol/crypto';
import type { KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmParty } from '../runtime/party-keys.ts';
import { BoundedMap } from './bounded-map.ts';
import { HSM_MECHANISMS, type HsmMechanism } from './driver.ts';
import { HsmError } from './errors.ts';
import { LAB_LABEL } from './profile.ts';
import { memoryRsaVault, type RsaVault } from './rsa-vault.ts';
import { memorySigningVault, type SigningVault } from './signing-vault.ts';

/** Unwrapped keys kept at one time. */
export const OPEN_KEYS_MAX = 1024;
/** Keys whose usage is remembered. */
export const KNOWN_KEYS_MAX = 8192;
/** Bytes of the local master key, AES-256. */
export const MASTER_KEY_BYTES = 32;

/** A key block whose MAC and header were found good. */
export type OpenKey = {
  readonly usage: KeyUsage;
  readonly algorithm: KeyAlgorithm;
  readonly key: Secret<Uint8Array>;
};

/** Remembers whose initial keys have left the HSM. */
export interface InitialKeyLedger {
  /** True the first time for an id, durably; false ever after. */
  claim(initialKeyId: string): boolean;
}

/** One HSM's insides; only this folder reads it. */
export type HsmContext = {
  readonly party: HsmParty;
  readonly label: string;
  readonly masterKey: Secret<Uint8Array>;
  readonly masterKeyKcv: string;
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  readonly openKeys: BoundedMap<string, OpenKey>;
  /** Keyed digest of a clear key -> the one usage and algorithm that it has here. */
  readonly knownKeys: BoundedMap<string, string>;
  readonly rsa: RsaVault;
  readonly signing: SigningVault;
  /** What these ciphers can compute. */
  readonly mechanisms: ReadonlySet<HsmMechanism>;
  readonly initialKeys: InitialKeyLedger;
};

/**
 * An HSM without a server, for the server and for a simulator in one process.
 * `rsa`, `signing` and `initialKeys` live in memory when left out.
 * @throws HsmError `ERR_HSM_PARAMETER` for a master key of another size than 32 bytes.
 */
export function createHsmContext(options: {
  readonly lmk: Uint8Array;
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  readonly party: HsmParty;
  readonly label?: string;
  readonly rsa?: RsaVault;
  readonly signing?: SigningVault;
  readonly initialKeys?: InitialKeyLedger;
}): HsmContext {
  const { ciphers, random, party } = options;
  if (options.lmk.length !== MASTER_KEY_BYTES) {
    throw new HsmError('ERR_HSM_PARAMETER', `a master key has ${MASTER_KEY_BYTES} bytes`);
  }
  const masterKey = options.lmk.slice();
  return {
    party,
    label: options.label ?? LAB_LABEL,
    masterKey: new Secret(masterKey, '[master key]'),
    masterKeyKcv: kcvAes(ciphers, masterKey),
    ciphers,
    random,
    openKeys: new BoundedMap(OPEN_KEYS_MAX, ({ key }) => key.expose().fill(0)),
    knownKeys: new BoundedMap(KNOWN_KEYS_MAX),
    rsa: options.rsa ?? memoryRsaVault(),
    signing: options.signing ?? memorySigningVault(),
    mechanisms: mechanismsOf(ciphers),
    initialKeys: options.initialKeys ?? memoryInitialKeyLedger(),
  };
}

/** All of them, but for SM4 where this build of OpenSSL has none. */
function mechanismsOf(ciphers: CipherProvider): ReadonlySet<HsmMechanism> {
  try {
    ciphers.sm4EcbEncrypt(new Uint8Array(16), new Uint8Array(16));
    return new Set(HSM_MECHANISMS);
  } catch {
    return new Set(HSM_MECHANISMS.filter((name) => name !== 'sm4' && name !== 'sm4Unwrap'));
  }
}

/** Wipes the master key and every cached key; the context is of no use afterwards. */
export function closeHsmContext(context: HsmContext): void {
  context.masterKey.expose().fill(0);
  forgetKeys(context);
  context.knownKeys.clear();
}

/** Wipes cached keys, those of `blocks` or all, with all schedules; returns how many there were. */
export function forgetKeys(context: HsmContext, blocks?: readonly string[]): number {
  const before = context.openKeys.size;
  if (blocks === undefined) context.openKeys.clear();
  else for (const block of blocks) context.openKeys.delete(block);
  forgetKeySchedules();
  return before - context.openKeys.size;
}

function memoryInitialKeyLedger(): InitialKeyLedger {
  const exported = new Set<string>();
  return {
    claim(initialKeyId) {
      if (exported.has(initialKeyId)) return false;
      exported.add(initialKeyId);
      return true;
    },
  };
}
