/**
 * A secure channel session: keys, both cryptograms, the C-MAC.
 * @see GPCS 2.3.1 Annex E, GP-D §6.2
 */
import { concatBytes, toHex } from '../bytes/index.ts';
import { type CipherProvider, kcvTdes } from '../crypto/index.ts';
import {
  decodeInitializeUpdate,
  type InitializeUpdateAnswer,
  scp02CardCryptogram,
  scp02ExternalAuthenticate,
  scp02HostCryptogram,
  scp02SessionKey,
  scp03Cryptogram,
  scp03SessionKey,
  scp03WrapMac,
} from '../globalplatform/data/index.ts';
import { both, byteHex, comparison, givenBytes, nodeOf, notPossible, step } from './build.ts';
import { formatError } from './errors.ts';
import { requireKeyBytes } from './keys-given.ts';
import type {
  BothLanguages,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainNode,
  Fact,
} from './types.ts';

/** What is known of a session. */
export type SessionInput = {
  /** Of INITIALIZE UPDATE, without its status word. */
  readonly answer: Uint8Array;
  readonly hostChallenge: Uint8Array | null;
  readonly externalAuthenticate: Uint8Array | null;
  readonly initializeUpdate: Uint8Array | null;
};

/** The session of named values or of a log; null when there is none. */
export function sessionInputOf(input: ExplainInput): SessionInput | null {
  const logged = loggedSession(input);
  if (logged !== null) return logged;
  const command = givenBytes(input, 'initUpdate', 'initializeUpdate');
  const hostChallenge =
    givenBytes(input, 'hostChallenge') ?? (command ? dataOf(command) : undefined);
  const answer =
    givenBytes(input, 'response', 'initUpdateResponse', 'initializeUpdateResponse', 'answer') ??
    answerOfParts(input);
  if (answer === undefined || hostChallenge === undefined) return null;
  const externalAuthenticate =
    givenBytes(input, 'externalAuthenticate', 'extAuth', 'externalAuth') ?? null;
  return {
    answer: trimmed(answer),
    hostChallenge,
    externalAuthenticate,
    initializeUpdate: command ?? null,
  };
}

/** Lengths of an answer that has 9000 behind it. */
const WITH_STATUS: readonly number[] = [30, 31, 34, 47, 50];

function trimmed(answer: Uint8Array): Uint8Array {
  const isOk = toHex(answer.subarray(-2)) === '9000' && WITH_STATUS.includes(answer.length);
  return isOk ? answer.subarray(0, -2) : answer;
}

/** Command data after Lc. */
function dataOf(command: Uint8Array): Uint8Array {
  return command.slice(5, 5 + (command[4] ?? 0));
}

function loggedSession({ lines }: ExplainInput): SessionInput | null {
  const at = lines.findIndex(({ bytes }) => toHex(bytes.subarray(0, 2)) === '8050');
  const answer = lines[at + 1]?.bytes;
  const command = lines[at]?.bytes;
  if (at < 0 || answer === undefined || command === undefined) return null;
  const external = lines
    .slice(at + 2)
    .find(({ bytes }) => toHex(bytes.subarray(0, 2)) === '8482')?.bytes;
  return {
    answer: trimmed(answer),
    hostChallenge: dataOf(command),
    externalAuthenticate: external ?? null,
    initializeUpdate: command,
  };
}

/** An SCP02 answer put together from its parts; an unknown cryptogram is left out. */
function answerOfParts(input: ExplainInput): Uint8Array | undefined {
  const sequence = givenBytes(input, 'sequence', 'sequenceCounter');
  const challenge = givenBytes(input, 'cardChallenge');
  if (sequence === undefined || challenge === undefined) return undefined;
  const head = Uint8Array.of(...new Array<number>(10).fill(0), 0, 2);
  const cryptogram = givenBytes(input, 'cardCryptogram') ?? new Uint8Array();
  return concatBytes(head, sequence, challenge, cryptogram);
}

/** The static keys that were given; one key serves all when only one was. */
type StaticKeys = { readonly enc: Uint8Array; readonly mac: Uint8Array };

function staticKeysOf(input: ExplainInput): StaticKeys | null {
  const one = givenBytes(input, 'key', 'staticKey', 'masterKey');
  const enc = givenBytes(input, 'enc', 'kenc', 'keyEnc', 'encKey') ?? one;
  const mac = givenBytes(input, 'mac', 'kmac', 'keyMac', 'macKey') ?? one;
  if (enc === undefined || mac === undefined) return null;
  const sizes = [16, 24, 32];
  return { enc: requireKeyBytes(enc, 'enc', sizes), mac: requireKeyBytes(mac, 'mac', sizes) };
}

/** Everything that a session's keys give. */
type Computed = {
  readonly sessionEnc: Uint8Array;
  readonly sessionMac: Uint8Array;
  readonly cardCryptogram: Uint8Array;
  readonly hostCryptogram: Uint8Array;
  /** EXTERNAL AUTHENTICATE at the session's level. */
  readonly externalAuthenticate: Uint8Array;
};

/** Explains a session. @throws GlobalPlatformError, ExplainError for what cannot be one. */
export function explainSession(
  { ciphers, input }: ExplainContext,
  session: SessionInput,
): Explained {
  const hasCryptogram = session.answer.length !== 20;
  const answer = decodeInitializeUpdate(
    hasCryptogram ? session.answer : concatBytes(session.answer, new Uint8Array(8)),
  );
  const keys = staticKeysOf(input);
  const level = session.externalAuthenticate?.[2] ?? 0;
  const computed = keys === null ? null : compute(ciphers, { answer, session, keys, level });
  const protocol = `SCP${byteHex(answer.secureChannelProtocol)}`;
  const version = byteHex(answer.keyVersionNumber);
  const checks = checksOf(answer, { computed, session, hasCryptogram });
  const given = hasCryptogram ? toHex(answer.cardCryptogram) : null;
  const card = checks.find(({ name }) => name === 'cardCryptogram')?.result;
  const words: Readonly<Record<string, BothLanguages>> = {
    passed: both('card cryptogram right', '卡密文正确'),
    failed: both('card cryptogram WRONG', '卡密文错误'),
    notPossible: both('card cryptogram not checked', '卡密文未校验'),
  };
  const word = words[card ?? 'notPossible'] ?? both('');
  return {
    summaryEn: `${protocol} session, key version ${version}: ${word.en}`,
    summaryZh: `${protocol} 会话，密钥版本 ${version}：${word.zh}`,
    facts: {
      type: 'session',
      scp: byteHex(answer.secureChannelProtocol),
      keyVersion: hasCryptogram ? version : null,
      parameterI: answer.parameterI === null ? null : byteHex(answer.parameterI),
      keyDiversificationData: toHex(answer.keyDiversificationData),
      sequenceCounter: answer.sequenceCounter === null ? null : toHex(answer.sequenceCounter),
      hostChallenge: session.hostChallenge === null ? null : toHex(session.hostChallenge),
      cardChallenge: toHex(answer.cardChallenge),
      cardCryptogramGiven: given,
      initializeUpdate: session.initializeUpdate === null ? null : toHex(session.initializeUpdate),
      externalAuthenticateGiven:
        session.externalAuthenticate === null ? null : toHex(session.externalAuthenticate),
      ...computedFacts(keys, computed),
      cardCryptogramOk: card === 'notPossible' || card === undefined ? null : card === 'passed',
    },
    tree: answerNodes(answer, hasCryptogram),
    checks,
    findings: [],
  };
}

function computedFacts(
  keys: StaticKeys | null,
  computed: Computed | null,
): Readonly<Record<string, Fact>> {
  const kcv = (key: Uint8Array | undefined): string | null =>
    key === undefined || key.length === 32 ? null : kcvTdes(key).slice(0, 6);
  const hex = (value: Uint8Array | undefined): string | null =>
    value === undefined ? null : toHex(value);
  return {
    encKcv: kcv(keys?.enc),
    macKcv: kcv(keys?.mac),
    sessionEnc: hex(computed?.sessionEnc),
    sessionMac: hex(computed?.sessionMac),
    cardCryptogram: hex(computed?.cardCryptogram),
    hostCryptogram: hex(computed?.hostCryptogram),
    externalAuthenticate: hex(computed?.externalAuthenticate),
  };
}

function compute(
  ciphers: CipherProvider,
  parts: {
    readonly answer: InitializeUpdateAnswer;
    readonly session: SessionInput;
    readonly keys: StaticKeys;
    readonly level: number;
  },
): Computed | null {
  const { answer, session, keys, level } = parts;
  const { hostChallenge } = session;
  if (hostChallenge === null) return null;
  const { cardChallenge } = answer;
  if (answer.secureChannelProtocol === 3) {
    return computeScp03(ciphers, { keys, level, challenges: { hostChallenge, cardChallenge } });
  }
  if (answer.secureChannelProtocol !== 2) {
    throw formatError('globalPlatform', 11, 'sessions of SCP01 are not computed');
  }
  const sequenceCounter = answer.sequenceCounter ?? new Uint8Array();
  const challenges = { hostChallenge, sequenceCounter, cardChallenge };
  const sessionEnc = scp02SessionKey(keys.enc, 'encryption', sequenceCounter);
  const sessionMac = scp02SessionKey(keys.mac, 'commandMac', sequenceCounter);
  const hostCryptogram = scp02HostCryptogram(sessionEnc, challenges);
  return {
    sessionEnc,
    sessionMac,
    cardCryptogram: scp02CardCryptogram(sessionEnc, challenges),
    hostCryptogram,
    externalAuthenticate: scp02ExternalAuthenticate(sessionMac, hostCryptogram, level).command,
  };
}

function computeScp03(
  ciphers: CipherProvider,
  parts: {
    readonly keys: StaticKeys;
    readonly level: number;
    readonly challenges: { readonly hostChallenge: Uint8Array; readonly cardChallenge: Uint8Array };
  },
): Computed {
  const { keys, level, challenges } = parts;
  const sessionMac = scp03SessionKey(ciphers, keys.mac, 'commandMac', challenges);
  const hostCryptogram = scp03Cryptogram(ciphers, sessionMac, 'hostCryptogram', challenges);
  const header = Uint8Array.of(0x84, 0x82, level, 0x00);
  const macBytes = challenges.hostChallenge.length === 16 ? 16 : 8;
  const command = { header, data: hostCryptogram };
  const chain = { value: null, macBytes } as const;
  return {
    sessionEnc: scp03SessionKey(ciphers, keys.enc, 'encryption', challenges),
    sessionMac,
    cardCryptogram: scp03Cryptogram(ciphers, sessionMac, 'cardCryptogram', challenges),
    hostCryptogram,
    externalAuthenticate: scp03WrapMac(ciphers, sessionMac, command, chain).command,
  };
}

function checksOf(
  answer: InitializeUpdateAnswer,
  parts: {
    readonly computed: Computed | null;
    readonly session: SessionInput;
    readonly hasCryptogram: boolean;
  },
): readonly ExplainCheck[] {
  const { computed, session, hasCryptogram } = parts;
  if (computed === null) {
    return [
      notPossible('cardCryptogram', both('keys or host challenge missing', '缺少密钥或主机随机数')),
    ];
  }
  const steps = [
    step(both('session key S-ENC', '会话密钥 S-ENC'), toHex(computed.sessionEnc)),
    step(both('session key S-MAC', '会话密钥 S-MAC'), toHex(computed.sessionMac)),
    step(both('card cryptogram', '卡密文'), toHex(computed.cardCryptogram)),
    step(both('host cryptogram', '主机密文'), toHex(computed.hostCryptogram)),
  ];
  const checks: ExplainCheck[] = [];
  if (hasCryptogram) {
    const actual = toHex(computed.cardCryptogram);
    const expected = toHex(answer.cardCryptogram);
    checks.push(comparison('cardCryptogram', { expected, actual }, steps));
  } else {
    const why = step(both('the card cryptogram was not given', '未给出卡密文'), '');
    checks.push({ name: 'cardCryptogram', result: 'notPossible', steps: [...steps, why] });
  }
  if (session.externalAuthenticate !== null) {
    const expected = toHex(session.externalAuthenticate);
    const actual = toHex(computed.externalAuthenticate);
    checks.push(comparison('externalAuthenticate', { expected, actual }, steps.slice(1)));
  }
  return checks;
}

function answerNodes(
  answer: InitializeUpdateAnswer,
  hasCryptogram: boolean,
): readonly ExplainNode[] {
  const nodes: ExplainNode[] = [];
  let offsetBytes = 0;
  const add = (name: BothLanguages, bytes: Uint8Array, text: BothLanguages | null = null): void => {
    nodes.push(nodeOf(name, { offsetBytes, bytes }, { text }));
    offsetBytes += bytes.length;
  };
  const { secureChannelProtocol, parameterI, sequenceCounter } = answer;
  add(both('Key diversification data', '密钥分散数据'), answer.keyDiversificationData);
  add(both('Key version number', '密钥版本号'), Uint8Array.of(answer.keyVersionNumber));
  const protocol = both(`SCP${byteHex(secureChannelProtocol)}`);
  add(
    both('Secure channel protocol', '安全通道协议'),
    Uint8Array.of(secureChannelProtocol),
    protocol,
  );
  if (parameterI !== null) add(both('Parameter i', '参数 i'), Uint8Array.of(parameterI));
  const counter = both('Sequence counter', '序列计数器');
  if (secureChannelProtocol === 2 && sequenceCounter) add(counter, sequenceCounter);
  add(both('Card challenge', '卡随机数'), answer.cardChallenge);
  if (hasCryptogram) add(both('Card cryptogram', '卡密文'), answer.cardCryptogram);
  if (secureChannelProtocol === 3 && sequenceCounter) add(counter, sequenceCounter);
  return nodes;
}
