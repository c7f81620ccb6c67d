/**
 * For tests: a manager in one process with its HSM, and elements that are the real card: born with
 * factory keys, attested, called over a relay that can be cut at any command.
 */
import { constants, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { type Clock, concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { tr31UnwrapD } from '@tapnpay/protocol/crypto';
import {
  decodeApplicationPackage,
  diversifyKey,
  encodeApplicationPackage,
  encodeDataGrouping,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  KEY_VERSION_FF_FACTORY,
  type StaticKeyUsage,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type AppletRunner,
  type Card,
  type CardProfile,
  type CardState,
  cardProfile,
  createCard,
  factoryState,
  type SignatureVerifier,
} from '@tapnpay/protocol/globalplatform/oncard';
import { SW_9000_OK } from '@tapnpay/protocol/iso7816';
import {
  type Hsm,
  type TsmContactAnswer,
  type TsmJobOutcome,
  tsmContactInput,
} from '@tapnpay/protocol/wire';
import { seededRandom } from '../hsm/hsm.test-kit.ts';
import type { HsmContext } from '../hsm/index.ts';
import {
  createHsmContext,
  formElementKeys,
  inProcessHsm,
  memorySigningVault,
} from '../hsm/index.ts';
import { MemoryAuditLog } from '../runtime/index.ts';
import { nodeCiphers } from '../runtime/system.ts';
import type { Actor } from './actor.ts';
import { Contacts } from './contacts.ts';
import { sha256 } from './jobs/commands.ts';
import { releaseVersion, reviewVersion, uploadVersion } from './lifecycle/certification.ts';
import { addApplication, addProvider } from './lifecycle/directory.ts';
import { moveElement, registerElement } from './lifecycle/elements.ts';
import { openMasters } from './masters.ts';
import type { Application, ApplicationVersion, Provider } from './model.ts';
import { type PersonalisationSource, TSM_PROFILE, type TsmPorts } from './ports.ts';
import type { TsmStore } from './store.ts';
import { MemoryTsmStore } from './store-memory.ts';

export const ISSUER: Actor = { id: 'issuer-key', role: 'issuer', providerId: '' };
export const REVIEWER: Actor = { id: 'reviewer-key', role: 'issuer', providerId: '' };
export const PROVIDER: Actor = { id: 'provider-key', role: 'provider', providerId: 'sample' };

export const APPLICATION: Omit<Application, 'version' | 'state'> = {
  ...{ id: 'card', parent: 'sample' },
  name: { en: 'Card', zh: '卡' },
  summary: { en: 'A sample', zh: '示例' },
  loadFileAid: 'F054415002',
  ...{ moduleAid: 'F05441500201', instanceAid: 'F05441500201', installParameters: '0102' },
  ...{ persistentBytes: null, needsPersonalisation: true, isOffered: true },
};
export const SAMPLE_PROVIDER: Omit<Provider, 'version' | 'parent' | 'state'> = {
  ...{ id: 'sample', name: { en: 'Sample', zh: '示例' } },
  ...{ domainAid: 'F05441500D02', aidPrefixes: ['F054415002'] },
};

/** A package of the sample application. */
export function samplePackage(number = '1.0.0', fillBytes = 400): Uint8Array {
  const manifest = {
    ...({ format: 1, interfaceVersion: 1, name: 'Card', version: number } as const),
    ...{ loadFileAid: APPLICATION.loadFileAid, memoryBytes: 4 * 1024 * 1024 },
    modules: [{ aid: APPLICATION.moduleAid, name: 'card' }],
  };
  const line = 'const pause = 1;\n';
  const bundle = `export const number = '${number}';\n${line.repeat(fillBytes / line.length)}`;
  return encodeApplicationPackage({ manifest, bundle });
}

const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
/** Verifies by OpenSSL. */
const verifier: SignatureVerifier = {
  isRsaPss({ modulus, exponent }, message, signature): boolean {
    const jwk = { kty: 'RSA', n: url(modulus), e: url(exponent) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify('sha256', message, { key, padding, saltLength: 32 }, signature);
  },
  isEcdsaP256(point, message, signature): boolean {
    const jwk = { kty: 'EC', crv: 'P-256', x: url(point.slice(1, 33)), y: url(point.slice(33)) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  },
};

const OK = { data: new Uint8Array(), statusWord: SW_9000_OK };
/** Applications that keep their parameters, then the groupings of their personalisation. */
const runner: AppletRunner = {
  modules: (code) => decodeApplicationPackage(code).manifest.modules.map(({ aid }) => aid),
  install: (_instance, parameters) => parameters,
  uninstall: () => undefined,
  select: () => ({ response: OK }),
  process: () => ({ response: OK }),
  personalise: (_instance, { groupings }) => ({
    response: OK,
    persistent: concatBytes(...groupings.map((one) => encodeDataGrouping(one))),
  }),
  deselect: () => undefined,
  forget: () => undefined,
};

/** A clock that goes on by one at each look. */
export function tickingClock(startMs = 1_800_000_000_000): Clock & { skip: (ms: number) => void } {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs++,
    startTimer: () => () => undefined,
    skip: (ms) => {
      nowMs += ms;
    },
  };
}

/** How an element is born. */
export type Birth = {
  readonly serial?: string;
  readonly keyType?: 'aes' | 'des';
  readonly master?: 'factoryAes' | 'factoryDes' | 'factoryOpen';
  /** Version of the factory set; FF as usual. */
  readonly factoryVersion?: number;
  readonly profile?: Partial<CardProfile>;
};

/** An element: the real card, and the key that it attests with. */
export class TestElement {
  readonly serial: string;
  readonly keyDiversificationData: string;
  readonly keyType: 'aes' | 'des';
  readonly attestationKeySpki: string;
  readonly #attestationKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #cardPorts: Parameters<typeof createCard>[1];
  readonly #profile: CardProfile;
  stored: CardState;
  card: Card;
  /** Every command that the card got. */
  readonly log: string[] = [];

  constructor(hsm: HsmContext, masterBlock: string, birth: Birth = {}) {
    this.serial = birth.serial ?? '0011223344556677';
    this.keyType = birth.keyType ?? 'aes';
    this.keyDiversificationData = `5441${this.serial}`;
    const spki = this.#attestationKey.publicKey.export({ type: 'spki', format: 'der' });
    this.attestationKeySpki = toHex(new Uint8Array(spki));
    const master = tr31UnwrapD(nodeCiphers, hsm.masterKey.expose(), masterBlock).key;
    const data = fromHex(this.keyDiversificationData);
    const way = this.keyType === 'aes' ? 'kdf3' : 'emv';
    const keyOf = (usage: StaticKeyUsage): Uint8Array =>
      diversifyKey(nodeCiphers, master, { way, usage, keyDiversificationData: data });
    this.#profile = cardProfile({
      ...{ cplc: new Uint8Array(42).fill(0x45), keyDiversificationData: data },
      ...(this.keyType === 'des' ? { scp02ParameterI: 0x55 } : {}),
      ...birth.profile,
    });
    this.stored = factoryState(this.#profile, {
      ...{ encryption: keyOf('encryption'), mac: keyOf('mac') },
      ...{ dataEncryption: keyOf('dataEncryption') },
      type: this.keyType === 'aes' ? KEY_TYPE_88_AES : KEY_TYPE_80_DES,
      version: birth.factoryVersion ?? KEY_VERSION_FF_FACTORY,
    });
    this.#cardPorts = {
      ...{ ciphers: nodeCiphers, random: seededRandom('card'), verifier, runner },
      clock: { nowMs: () => 1 },
      report: () => undefined,
      store: {
        load: () => this.stored,
        commit: (next) => {
          this.stored = next;
        },
      },
    };
    this.card = createCard(this.#profile, this.#cardPorts);
  }

  /** One command; `answer` may replace what the card says. */
  send(command: string): string {
    this.log.push(command);
    return toHex(this.card.process(fromHex(command)));
  }

  /** Power off and on. */
  restart(): void {
    this.card = createCard(this.#profile, this.#cardPorts);
  }

  sign(input: string): string {
    const options = { key: this.#attestationKey.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return toHex(new Uint8Array(sign('sha256', Buffer.from(input), options)));
  }

  /** The state without what says how often it was talked to. */
  essence(): string {
    const { entries, loadFiles, lifeCycle } = this.stored;
    const kept = entries.map((entry) =>
      entry.kind === 'application'
        ? { ...entry, persistent: toHex(entry.persistent) }
        : {
            ...entry,
            failures: entry.failures.count,
            keySets: entry.keySets.map(({ version, keys }) => ({
              version,
              keys: keys.map(({ components }) =>
                components.map(({ type, bytes }) => `${type} ${toHex(bytes)}`),
              ),
            })),
          },
    );
    const files = loadFiles.map(({ aid, domainAid, hash }) => ({
      aid,
      domainAid,
      hash: toHex(hash),
    }));
    return JSON.stringify({ lifeCycle, entries: kept, files }, null, 1);
  }
}

/** The line was cut. */
export class Cut extends Error {}

/** Where a relay is cut: before or behind the card's work on a command of that number. */
export type CutAt = { readonly index: number; readonly isAnswerLost: boolean };

/** What a relay may do beside relaying. */
export type RelayOptions = {
  readonly cut?: CutAt | undefined;
  /** Changes what the card says, by the number of the command. */
  readonly forge?: (answer: string, index: number, command: string) => string;
};

/** One whole contact; the jobs and how many commands went over. */
export async function contact(
  contacts: Pick<Contacts, 'take'>,
  element: TestElement,
  options: RelayOptions = {},
): Promise<{ readonly jobs: readonly TsmJobOutcome[]; readonly commands: number }> {
  const { serial } = element;
  const challenge = await contacts.take(serial, { type: 'hello' });
  if (challenge.type !== 'challenge') throw new Error('no challenge');
  const { contactId } = challenge;
  const signature = element.sign(tsmContactInput({ serial, ...challenge }));
  let reply: TsmContactAnswer = await contacts.take(serial, {
    type: 'begin',
    contactId,
    signature,
  });
  let index = 0;
  while (reply.type === 'batch') {
    const answers: string[] = [];
    for (const { command, allowed } of reply.steps) {
      const isCut = options.cut?.index === index;
      if (isCut && !options.cut.isAnswerLost) throw new Cut();
      const said = element.send(command);
      if (isCut) throw new Cut();
      const answer = options.forge?.(said, index, command) ?? said;
      index++;
      answers.push(answer);
      if (!allowed.includes(answer.slice(-4))) break;
    }
    reply = await contacts.take(serial, {
      type: 'answers',
      contactId,
      batch: reply.batch,
      answers,
    });
  }
  return { jobs: reply.type === 'end' ? reply.jobs : [], commands: index };
}

/** A manager with everything that a test looks at. */
export type TestTsm = {
  readonly ports: TsmPorts;
  readonly audit: MemoryAuditLog;
  readonly hsmContext: HsmContext;
  readonly masterBlocks: Readonly<Record<string, string>>;
  readonly clock: ReturnType<typeof tickingClock>;
  /** Contacts of a process; a new one is a restart. */
  readonly contacts: () => Contacts;
  /** A new element that is on the list and issued. */
  readonly element: (birth?: Birth) => Promise<TestElement>;
  /** Uploads, reviews and releases. */
  readonly release: (number?: string, bytes?: Uint8Array) => Promise<ApplicationVersion>;
};

/** The data of the sample application. */
export const samplePersonalisation: PersonalisationSource = {
  groupings: async ({ element }) => [
    { identifier: 0x0101, value: toHex(new TextEncoder().encode(`card of ${element.id}`)) },
    { identifier: 0x8201, master: 'elementAes', usage: 'mac' },
  ],
};

// The same keys for every manager of a process, so that their elements can be compared.
const signing = memorySigningVault();

/** A manager after its key ceremony, with the sample provider and application. */
export async function testTsm(
  options: {
    readonly store?: TsmStore;
    readonly wrapHsm?: (hsm: Hsm) => Hsm;
    readonly profile?: Partial<TsmPorts['profile']>;
  } = {},
): Promise<TestTsm> {
  const random = seededRandom('hsm');
  const hsmContext = createHsmContext({
    ...{ lmk: random.bytes(32), ciphers: nodeCiphers, random, party: 'tsm', signing },
  });
  const keys = await formElementKeys(inProcessHsm(hsmContext, 'ceremony'), seededRandom('keys'));
  const own = inProcessHsm(hsmContext, 'tsm');
  const audit = new MemoryAuditLog();
  const clock = tickingClock();
  const ports: TsmPorts = {
    ...{ store: options.store ?? new MemoryTsmStore(), audit, clock },
    ...{ hsm: options.wrapHsm?.(own) ?? own, random: seededRandom('tsm') },
    personalisation: { ...samplePersonalisation },
    profile: { ...TSM_PROFILE, ...options.profile },
    log: () => undefined,
  };
  await openMasters(ports, keys.keys);
  await addProvider(ports, ISSUER, SAMPLE_PROVIDER);
  await addApplication(ports, PROVIDER, APPLICATION);
  const masterBlocks = Object.fromEntries(
    Object.entries(keys.keys).map(([name, { keyBlock }]) => [name, keyBlock]),
  );
  return {
    ...{ ports, audit, hsmContext, masterBlocks, clock },
    contacts: () => new Contacts(ports),
    element: async (birth = {}) => {
      const usual = birth.keyType === 'des' ? 'factoryDes' : 'factoryAes';
      const block = masterBlocks[birth.master ?? usual] ?? '';
      const element = new TestElement(hsmContext, block, birth);
      await registerElement(ports, ISSUER, element);
      await moveElement(ports, ISSUER, { serial: element.serial, to: 'issued' });
      return element;
    },
    release: async (number = '1.0.0', bytes = samplePackage(number)) => {
      const applicationId = APPLICATION.id;
      const declaredHash = sha256(bytes);
      const upload = { applicationId, number, declaredHash, bytes };
      const { id } = await uploadVersion(ports, PROVIDER, upload);
      await reviewVersion(ports, REVIEWER, { versionId: id, isAccepted: true, note: 'read' });
      return releaseVersion(ports, REVIEWER, id);
    },
  };
}
