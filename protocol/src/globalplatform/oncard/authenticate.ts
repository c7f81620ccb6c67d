/** INITIALIZE UPDATE and EXTERNAL AUTHENTICATE. @see GPCS 2.3.1 §E.5, GP-D §7.1 */
import { concatBytes, fromHex, uintToBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  type ResponseApdu,
  SW_6A86_WRONG_P1_P2,
  SW_6300_AUTHENTICATION_FAILED,
  SW_6700_WRONG_LENGTH,
  SW_6982_SECURITY_STATUS_NOT_SATISFIED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import {
  isLevelOffered,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  LEVEL_01_C_MAC,
  SCP02_I_40_PSEUDO_RANDOM,
  SCP03_I_01_S16,
  SCP03_I_10_PSEUDO_RANDOM,
  scp02CardChallenge,
  scp02SessionKey,
  scp03CardChallenge,
} from '../data/index.ts';
import { remainingDelayMs } from './delay.ts';
import { type ClearKeys, scp02CardMessages, scp03CardMessages } from './messages.ts';
import { type CardKeySet, domainsAbove, type SecurityDomain, withEntry } from './state.ts';
import {
  CardRefusal,
  dataOf,
  endSession,
  found,
  ok,
  type PendingSession,
  requireCondition,
  type Work,
} from './work.ts';

const COUNTER_MOST = { scp02: 0xffff, scp03: 0xffffff } as const;

/** A complete set of three secret keys of one type. */
export function clearKeysOf(set: CardKeySet): { type: number; keys: ClearKeys } | null {
  const keys = [1, 2, 3].map((identifier) =>
    set.keys.find((key) => key.identifier === identifier && key.components.length === 1),
  );
  const [encryption, mac, dataEncryption] = keys.map((key) => key?.components[0]);
  if (!encryption || !mac || !dataEncryption) return null;
  const { type } = encryption;
  const isSecret = type === KEY_TYPE_88_AES || type === KEY_TYPE_80_DES;
  if (!isSecret || mac.type !== type || dataEncryption.type !== type) return null;
  return {
    type,
    keys: {
      ...{ encryption: encryption.bytes, mac: mac.bytes },
      dataEncryption: dataEncryption.bytes,
    },
  };
}

/**
 * The card's challenge and proof. The keys are those of the selected domain, of the domain of a
 * selected application, or, while a domain has none, of the one above it.
 */
export function initializeUpdate(work: Work, command: CommandApdu): ResponseApdu {
  const { profile, channel } = work;
  endSession(channel);
  if (command.p2 !== 0) throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'P2 is 00');
  const owner = keyOwner(work);
  const set = keySetOf(owner, command.p1);
  const wanted = found(clearKeysOf(set), 'complete key set');
  const waitMs = remainingDelayMs(owner.failures, profile.delay, work.ports.clock.nowMs());
  requireCondition(waitMs === 0, `authentication is delayed by ${waitMs} ms`);
  const hostChallenge = dataOf(command);
  const request = { set, keys: wanted.keys, hostChallenge };
  const opened =
    wanted.type === KEY_TYPE_88_AES ? openScp03(work, request) : openScp02(work, request);
  channel.pending = { ...opened.pending, keyOwnerAid: owner.aid, keyVersionNumber: set.version };
  const head = concatBytes(profile.keyDiversificationData, Uint8Array.of(set.version));
  return ok(concatBytes(head, opened.answer));
}

/** The host's proof. Failures are counted before it is looked at, so that no tear undoes that. */
export function externalAuthenticate(work: Work, command: CommandApdu): ResponseApdu {
  const { channel } = work;
  const { pending } = channel;
  endSession(channel);
  if (!pending) {
    throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, 'no INITIALIZE UPDATE before');
  }
  const domain = found(
    domainsAbove(work.state, pending.keyOwnerAid)[0],
    'domain of the session keys',
  );
  const before = work.state;
  const failures = { count: domain.failures.count + 1, lastMs: work.ports.clock.nowMs() };
  work.state = withEntry(before, { ...domain, failures });
  work.commit();
  assertHost(pending, command);
  work.state = withEntry(before, authenticated(domain, pending.keyVersionNumber));
  const isOffered = isLevelOffered(pending.messages.protocol, pending.parameterI, command.p1);
  if (!isOffered || command.p2 !== 0) {
    work.commit();
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, `level ${command.p1} is not offered`);
  }
  const { parameterI: _unused, ...session } = pending;
  channel.session = { ...session, level: command.p1 };
  return ok();
}

/** @throws CardRefusal 6300 for another host, 6982 for another command than the host sent. */
function assertHost(pending: PendingSession, command: CommandApdu): void {
  const macBytes = dataOf(command).length / 2;
  const { messages } = pending;
  if (![8, 16].includes(macBytes)) {
    throw new CardRefusal(SW_6700_WRONG_LENGTH, 'a cryptogram and a MAC are needed');
  }
  if (!messages.isHostCryptogram(dataOf(command).slice(0, macBytes))) {
    throw new CardRefusal(SW_6300_AUTHENTICATION_FAILED, 'the host cryptogram is wrong');
  }
  if (messages.unwrap(command, LEVEL_01_C_MAC)) return;
  throw new CardRefusal(SW_6982_SECURITY_STATUS_NOT_SATISFIED, 'the MAC is wrong');
}

/** No failures any more, and the counter of the set one further: no challenge comes again. */
function authenticated(domain: SecurityDomain, version: number): SecurityDomain {
  return {
    ...domain,
    failures: { count: 0, lastMs: 0 },
    keySets: domain.keySets.map((set) =>
      set.version === version ? { ...set, sequenceCounter: set.sequenceCounter + 1 } : set,
    ),
  };
}

function keyOwner(work: Work): SecurityDomain {
  const owners = domainsAbove(work.state, selectedDomainAid(work));
  return found(
    owners.find(({ keySets }) => keySets.some((set) => clearKeysOf(set) !== null)),
    'domain with keys',
  );
}

function selectedDomainAid(work: Work): string {
  const { selectedAid } = work.channel;
  const entry = work.state.entries.find(({ aid }) => aid === selectedAid);
  return entry?.kind === 'application' ? entry.domainAid : selectedAid;
}

/** The set of a version; 0 is the newest complete one. */
function keySetOf(domain: SecurityDomain, version: number): CardKeySet {
  const complete = domain.keySets.filter((set) => clearKeysOf(set) !== null);
  return found(
    version === 0 ? complete.at(-1) : complete.find((set) => set.version === version),
    `key version ${version}`,
  );
}

type OpenRequest = {
  readonly set: CardKeySet;
  readonly keys: ClearKeys;
  readonly hostChallenge: Uint8Array;
};
type Opened = {
  readonly pending: Pick<PendingSession, 'messages' | 'parameterI'>;
  readonly answer: Uint8Array;
};

function openScp03(work: Work, { set, keys, hostChallenge }: OpenRequest): Opened {
  const { ciphers, random } = work.ports;
  const parameterI = work.profile.scp03ParameterI;
  const lengthBytes = parameterI & SCP03_I_01_S16 ? 16 : 8;
  assertChallenge(hostChallenge, lengthBytes);
  requireCondition(set.sequenceCounter <= COUNTER_MOST.scp03, 'key set is used up');
  const sequenceCounter = uintToBytes(set.sequenceCounter, 3);
  const isPredictable = (parameterI & SCP03_I_10_PSEUDO_RANDOM) !== 0;
  const invokerAid = fromHex(work.channel.selectedAid);
  const cardChallenge = isPredictable
    ? scp03CardChallenge(ciphers, keys.encryption, { sequenceCounter, invokerAid, lengthBytes })
    : random.bytes(lengthBytes);
  const messages = scp03CardMessages(ciphers, keys, { hostChallenge, cardChallenge });
  return {
    pending: { messages, parameterI },
    answer: concatBytes(
      Uint8Array.of(3, parameterI),
      cardChallenge,
      messages.cardCryptogram(),
      isPredictable ? sequenceCounter : new Uint8Array(),
    ),
  };
}

function openScp02(work: Work, { set, keys, hostChallenge }: OpenRequest): Opened {
  const parameterI = work.profile.scp02ParameterI;
  requireCondition(parameterI !== null, 'SCP02 is off');
  assertChallenge(hostChallenge, 8);
  requireCondition(set.sequenceCounter <= COUNTER_MOST.scp02, 'key set is used up');
  const sequenceCounter = uintToBytes(set.sequenceCounter, 2);
  const isPredictable = (parameterI & SCP02_I_40_PSEUDO_RANDOM) !== 0;
  const cardChallenge = isPredictable
    ? scp02CardChallenge(
        scp02SessionKey(keys.mac, 'commandMac', sequenceCounter),
        fromHex(work.channel.selectedAid),
      )
    : work.ports.random.bytes(6);
  const messages = scp02CardMessages(keys, { hostChallenge, sequenceCounter, cardChallenge });
  return {
    pending: { messages, parameterI },
    answer: concatBytes(
      Uint8Array.of(2),
      sequenceCounter,
      cardChallenge,
      messages.cardCryptogram(),
    ),
  };
}

function assertChallenge(hostChallenge: Uint8Array, lengthBytes: number): void {
  if (hostChallenge.length === lengthBytes) return;
  throw new CardRefusal(SW_6700_WRONG_LENGTH, `a challenge has ${lengthBytes} bytes here`);
}
