/** The services that an applet can ask for, by name. Whatever it gives is checked here first. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Clock, type RandomSource, Secret } from '@tapnpay/protocol/bytes';
import { type CipherProvider, CryptoError, sm2Verify } from '@tapnpay/protocol/crypto';
import type { KeyRules } from '@tapnpay/protocol/globalplatform/applet';
import { isSelectable } from '@tapnpay/protocol/globalplatform/data';
import type { AppletChannel } from '@tapnpay/protocol/globalplatform/oncard';
import { type CommandApdu, type ResponseApdu, StatusWord } from '@tapnpay/protocol/iso7816';
import { SandboxError, wrongCall } from './errors.ts';
import { KeyRing } from './keys.ts';
import type { Services } from './machine.ts';
import { checkedName, type Vault } from './vault.ts';

/** Random bytes of one call. */
const RANDOM_BYTES_MAX = 1024;
const APDU_DATA_BYTES_MAX = 65_535;

/** What one call of an applet may use. */
export type CallFacts = {
  readonly vault: Vault;
  /** In `process` only. */
  readonly channel: AppletChannel | null;
  readonly lifeCycle: { state: number };
  /** In a conversation only. */
  readonly commit: (() => void) | null;
};
/** What services stand on. */
export type ServicePorts = {
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  readonly clock: Pick<Clock, 'nowMs'>;
};

/** Values of a call, read in order. Each reader throws `ERR_APPLET_HOST_CALL`. */
class Values {
  readonly #values: readonly unknown[];
  #index = 0;

  constructor(values: readonly unknown[]) {
    this.#values = values;
  }

  next(): unknown {
    const value = this.#values[this.#index++];
    // A secret is taken as what it hides: the host is the one that it may be told to.
    return value instanceof Secret ? value.expose() : value;
  }

  bytes(): Uint8Array {
    const value = this.next();
    if (value instanceof Uint8Array) return value;
    throw wrongCall(`value ${this.#index} is no bytes`);
  }

  text(): string {
    const value = this.next();
    if (typeof value === 'string') return value;
    throw wrongCall(`value ${this.#index} is no text`);
  }

  name(): string {
    return checkedName(this.text());
  }

  count(most: number): number {
    const value = this.next();
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) {
      return value;
    }
    throw wrongCall(`value ${this.#index} is no whole number up to ${most}`);
  }

  rules(): KeyRules {
    const { kind, usages } = recordOf(this.next());
    const kinds: readonly unknown[] = ['aes', 'tdes', 'sm4', 'hmac', 'ecP256'];
    const known: readonly unknown[] = ['mac', 'encipher', 'decipher', 'sign'];
    const areUsages = Array.isArray(usages) && usages.every((usage) => known.includes(usage));
    if (!kinds.includes(kind) || !areUsages) throw wrongCall('rules of no key');
    return { kind, usages } as KeyRules;
  }
}

type Service = (values: Values, facts: CallFacts, keys: KeyRing, ports: ServicePorts) => unknown;

const OBJECTS: Readonly<Record<string, Service>> = {
  'objects.read': (values, { vault }) => vault.object(values.name()),
  'objects.write': (values, { vault }) => vault.writeObject(values.name(), values.bytes()),
  'objects.remove': (values, { vault }) => vault.removeObject(values.name()),
  'objects.names': (_, { vault }) => vault.objectNames(),
  'objects.commit': (_, { commit }) => {
    if (commit === null) throw wrongCall('only a conversation commits by itself');
    commit();
  },
};

const KEYS: Readonly<Record<string, Service>> = {
  'keys.generate': (values, _, keys) => {
    const name = values.name();
    const rules = values.rules();
    const length = values.next();
    if (length !== undefined && length !== null && typeof length !== 'number') {
      throw wrongCall('a length that is no number');
    }
    return keys.generate(name, rules, length ?? null);
  },
  'keys.take': (values, { channel }, keys) => {
    const name = values.name();
    const rules = values.rules();
    const clear = needed(channel).decipher(values.bytes());
    if (clear === null) throw new SandboxError('ERR_APPLET_KEY', 'no session that deciphers it');
    return keys.put(name, rules, clear, values.bytes());
  },
  'keys.facts': (values, _, keys) => keys.facts(values.name()),
  'keys.remove': (values, { vault }) => vault.removeKey(values.name()),
  'keys.names': (_, { vault }) => vault.keyNames(),
  'keys.mac': (values, _, keys) => keys.mac(values.name(), values.bytes()),
  'keys.encipher': (values, _, keys) =>
    keys.encipher(values.name(), values.bytes(), values.bytes()),
  'keys.decipher': (values, _, keys) =>
    keys.decipher(values.name(), values.bytes(), values.bytes()),
  'keys.sign': (values, _, keys) => keys.sign(values.name(), values.bytes()),
};

const CHANNEL: Readonly<Record<string, Service>> = {
  'channel.securityLevel': (_, { channel }) => needed(channel).securityLevel(),
  'channel.authenticate': (values, { channel }) =>
    needed(channel).authenticate(commandOf(values.next())),
  'channel.unwrap': (values, { channel }) => needed(channel).unwrap(commandOf(values.next())),
  'channel.wrap': (values, { channel }) => needed(channel).wrap(responseOf(values.next())),
  'channel.decipher': (values, { channel }) => needed(channel).decipher(values.bytes()),
};

const LIFE_CYCLE: Readonly<Record<string, Service>> = {
  'lifeCycle.state': (_, { lifeCycle }) => lifeCycle.state,
  'lifeCycle.change': (values, { lifeCycle }) => {
    const state = values.count(0xff);
    if (!isSelectable(state)) throw wrongCall('a state that applets do not give themselves');
    lifeCycle.state = state;
  },
};

const CIPHERS: Readonly<Record<string, Service>> = {
  'ciphers.sha1': (values, _, __, { ciphers }) => ciphers.sha1(values.bytes()),
  'ciphers.sha256': (values, _, __, { ciphers }) => ciphers.sha256(values.bytes()),
  'ciphers.sm3': (values, _, __, { ciphers }) => ciphers.sm3(values.bytes()),
  'ciphers.hmacSha256': (values, _, __, { ciphers }) =>
    ciphers.hmacSha256(values.bytes(), values.bytes()),
  'ciphers.aesEcbEncrypt': (values, _, __, { ciphers }) =>
    ciphers.aesEcbEncrypt(values.bytes(), values.bytes()),
  'ciphers.aesEcbDecrypt': (values, _, __, { ciphers }) =>
    ciphers.aesEcbDecrypt(values.bytes(), values.bytes()),
  'ciphers.sm4EcbEncrypt': (values, _, __, { ciphers }) =>
    ciphers.sm4EcbEncrypt(values.bytes(), values.bytes()),
  'ciphers.sm4EcbDecrypt': (values, _, __, { ciphers }) =>
    ciphers.sm4EcbDecrypt(values.bytes(), values.bytes()),
  'ciphers.isSm2Signature': (values, _, __, { ciphers }) => {
    const [publicKey, message, signature] = [values.bytes(), values.bytes(), values.bytes()];
    return sm2Verify({ sm3: ciphers.sm3 }, { publicKey, message, signature });
  },
};

const SERVICES: ReadonlyMap<string, Service> = new Map(
  Object.entries<Service>({
    ...{ ...OBJECTS, ...KEYS, ...CHANNEL, ...LIFE_CYCLE, ...CIPHERS },
    'signatures.isEcdsaP256': (values) =>
      isEcdsaP256(values.bytes(), values.bytes(), values.bytes()),
    'random.bytes': (values, _, __, { random }) => random.bytes(values.count(RANDOM_BYTES_MAX)),
    'clock.nowMs': (_, __, ___, { clock }) => clock.nowMs(),
  }),
);

/** The services of one call. */
export function servicesOf(ports: ServicePorts, facts: CallFacts): Services {
  const keys = new KeyRing(facts.vault, ports);
  return (name, values) => {
    const service = SERVICES.get(name);
    if (!service) throw wrongCall('a service that there is not');
    try {
      return service(new Values(values), facts, keys, ports) ?? null;
    } catch (thrown) {
      // The ciphers refuse wrong sizes in words of their own, OpenSSL's among them.
      const isOfCipher =
        thrown instanceof CryptoError || !(thrown instanceof Error && 'data' in thrown);
      throw isOfCipher && name.startsWith('ciphers.') ? wrongCall(`${name} refused it`) : thrown;
    }
  };
}

function needed(channel: AppletChannel | null): AppletChannel {
  if (channel) return channel;
  throw wrongCall('the secure channel is there while a command is processed');
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw wrongCall('no record');
}

function byteOf(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xff) {
    return value;
  }
  throw wrongCall('no byte');
}

/** A command from an applet. @throws SandboxError `ERR_APPLET_HOST_CALL`. */
function commandOf(value: unknown): CommandApdu {
  const { cla, ins, p1, p2, data, le } = recordOf(value);
  const head = { cla: byteOf(cla), ins: byteOf(ins), p1: byteOf(p1), p2: byteOf(p2) };
  const isLe = typeof le === 'number' && Number.isInteger(le) && le >= 0 && le <= 65_536;
  if (data !== undefined && data !== null && !(data instanceof Uint8Array)) {
    throw wrongCall('data of a command that are no bytes');
  }
  if (le !== undefined && le !== null && !isLe) throw wrongCall('no length of an answer');
  return { ...head, ...(data ? { data } : {}), ...(isLe ? { le } : {}) };
}

/** An answer from an applet. @throws SandboxError `ERR_APPLET_ANSWER`. */
export function responseOf(value: unknown): ResponseApdu {
  const { data, statusWord } = Object(value) as Readonly<Record<string, unknown>>;
  const isWord =
    typeof statusWord === 'number' && Number.isInteger(statusWord) && statusWord >= 0x6000;
  const isFit = data instanceof Uint8Array && data.length <= APDU_DATA_BYTES_MAX;
  if (isWord && statusWord <= 0x9fff && isFit) return { data, statusWord: StatusWord(statusWord) };
  throw new SandboxError('ERR_APPLET_ANSWER', 'an answer is data and a status word');
}

/** SPKI of a P-256 point in front of its 65 bytes. @see RFC 5480 §2.2 */
const P256_SPKI_HEAD = Buffer.from('3059301306072A8648CE3D020106082A8648CE3D030107034200', 'hex');

function isEcdsaP256(point: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  let key: KeyObject;
  try {
    const spki = Buffer.concat([P256_SPKI_HEAD, point]);
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    return false;
  }
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
