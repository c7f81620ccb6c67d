/** Kind `cryptogram`: an application cryptogram verified, and the answer to it computed. */
import { asciiToBytes, byteAt, concatBytes, toHex, xorBytes } from '../bytes/index.ts';
import {
  arpcMethod1,
  deriveIccMasterKey,
  deriveSm4IccMasterKey,
  kcvTdes,
  retailMac,
  sm4Arpc,
} from '../crypto/index.ts';
import { cryptogramTypeOf, decodeEcBalanceData, ecBalanceMac } from '../emv/data/index.ts';
import {
  both,
  comparison,
  finding,
  givenBytes,
  givenText,
  isGiven,
  nodeOf,
  step,
} from './build.ts';
import {
  type CryptogramVersion,
  cryptogramOf,
  sessionKeyOf,
  versionByName,
  versionOf,
  withOddParity,
} from './cryptogram-versions.ts';
import { ExplainError } from './errors.ts';
import type { CryptogramFacts, IadFact } from './facts.ts';
import { readIad } from './iad.ts';
import { tagOfName } from './tag-names.ts';
import { readInputTlv, readTlv, tlvValues } from './tlv-reader.ts';
import type {
  CheckStep,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Finding,
} from './types.ts';
import { readValue, valueNode } from './value.ts';

const MASTER_NAMES = ['imk_ac', 'imk', 'mdk', 'mdk_ac', 'issuer_master_key'];
const CARD_KEY_NAMES = ['udk', 'udk_ac', 'icc_mk', 'icc_master_key', 'mk_ac'];
const SESSION_NAMES = ['sk_ac', 'session_key', 'sk'];
const DATA_SIGNS = ['9f26', '9f36', '9f37', '9f10', 'acinput', 'field55', 'cvr'];

type Data = {
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly iad: Uint8Array | null;
  readonly iadFact: IadFact | null;
  readonly version: CryptogramVersion;
  readonly algorithm: '3DES' | 'SM4';
  readonly macInput: Uint8Array;
};

type Keys = {
  readonly given: Uint8Array | null;
  readonly iccMasterKey: Uint8Array | null;
  readonly sessionKey: Uint8Array | null;
  readonly method: string;
  readonly steps: readonly CheckStep[];
};

function detect(input: ExplainInput): number {
  const names = [...MASTER_NAMES, ...CARD_KEY_NAMES, ...SESSION_NAMES];
  if (!isGiven(input, ...names)) return 0;
  const hasData = DATA_SIGNS.some((name) => input.values.has(name));
  if (hasData) return 0.97;
  const tags = input.bytes ? tlvValues(readInputTlv(input).objects) : new Map<string, Uint8Array>();
  return tags.has('9F26') || tags.has('9F36') ? 0.96 : 0;
}

function explainCryptogram(context: ExplainContext): Explained {
  const { input } = context;
  const data = collectData(input);
  const keys = collectKeys(context, data);
  const computed = keys.sessionKey
    ? cryptogramOf(
        context.ciphers,
        { ...data.version, ...data, sessionKey: keys.sessionKey },
        data.macInput,
      )
    : null;
  const given = data.values.get('9F26') ?? givenBytes(input, 'arqc', 'ac', 'tc') ?? null;
  const answer = arpcOf(context, data, {
    sessionKey: keys.sessionKey,
    cryptogram: given ?? computed,
  });
  const checks: ExplainCheck[] = [];
  const steps = [...keys.steps, ...inputSteps(data)];
  if (computed && given) {
    const values = { expected: toHex(given), actual: toHex(computed) };
    checks.push(comparison('cryptogram', values, steps));
  } else {
    const value = computed ? toHex(computed) : '';
    checks.push({
      name: 'cryptogram',
      result: 'notPossible',
      steps: [...steps, step(both('cryptogram', '密文'), value)],
    });
  }
  checks.push(...answer.checks, ...balanceCheck(context, data));
  const facts = factsOf({ data, keys, computed, given, answer, card: identityOf(input, data) });
  return {
    ...summaryOf(facts),
    facts,
    tree: treeOf(data),
    checks,
    findings: findingsFor(facts, data),
  };
}

type Answer = {
  readonly arc: Uint8Array | null;
  readonly arpc: Uint8Array | null;
  readonly given: Uint8Array | null;
  readonly checks: readonly ExplainCheck[];
};

function factsOf(parts: {
  readonly data: Data;
  readonly keys: Keys;
  readonly computed: Uint8Array | null;
  readonly given: Uint8Array | null;
  readonly answer: Answer;
  readonly card: CardIdentity;
}): CryptogramFacts {
  const { data, keys, computed, given, answer } = parts;
  const cid = data.values.get('9F27')?.[0];
  const type =
    cid === undefined ? (data.iadFact?.secondAc ?? data.iadFact?.firstAc) : cryptogramTypeOf(cid);
  const hex = (bytes: Uint8Array | null): string | null => (bytes ? toHex(bytes) : null);
  const isSm4 = data.algorithm === 'SM4';
  return {
    cryptogramVersion: data.version.code,
    algorithm: data.algorithm,
    pan: parts.card.pan,
    panSequenceNumber: parts.card.panSequenceNumber,
    keyGiven: hex(keys.given),
    iccMasterKey: hex(keys.iccMasterKey),
    iccMasterKeyOddParity: keys.iccMasterKey && !isSm4 ? withOddParity(keys.iccMasterKey) : null,
    iccMasterKeyKcv: keys.iccMasterKey && !isSm4 ? kcvTdes(keys.iccMasterKey) : null,
    sessionKeyMethod: keys.method,
    sessionKey: hex(keys.sessionKey),
    macInput: toHex(data.macInput),
    macInputLengthBytes: data.macInput.length,
    values: Object.fromEntries([...data.values].map(([tag, value]) => [tag, toHex(value)])),
    cryptogram: hex(computed),
    cryptogramGiven: hex(given),
    cryptogramType: type ?? null,
    verified: computed && given ? toHex(computed) === toHex(given) : null,
    arc: hex(answer.arc),
    arpcMethod: answer.arpc ? data.version.arpcMethod : null,
    arpc: hex(answer.arpc),
    arpcGiven: hex(answer.given),
    arpcVerified: answer.arpc && answer.given ? hex(answer.arpc) === hex(answer.given) : null,
    iad: data.iadFact,
  };
}

/** Values by name, of `field55`, or of the bytes; with the version's input put together. */
function collectData(input: ExplainInput): Data {
  const bytes = givenBytes(input, 'field55', 'f55') ?? input.bytes;
  const values = bytes ? tlvValues(readTlv(bytes).objects) : new Map<string, Uint8Array>();
  for (const name of input.values.keys()) {
    const tag = name.includes('.') ? null : tagOfName(name);
    const value = tag === null || tag === '9F26' ? undefined : givenBytes(input, name);
    if (tag !== null && value) values.set(tag, value);
  }
  const cryptogram = givenBytes(input, '9F26', 'arqc', 'ac');
  if (cryptogram) values.set('9F26', cryptogram);
  const iad = values.get('9F10') ?? null;
  const iadFact = iad ? readIad(iad, 0).fact : null;
  const version = chooseVersion(input, iadFact);
  const isSm4 =
    iadFact?.algorithm === 'SM4' || givenText(input, 'algorithm')?.toUpperCase() === 'SM4';
  const macInput =
    givenBytes(input, 'ac_input') ?? assemble(input, values, { version, iad, iadFact });
  return { values, iad, iadFact, version, algorithm: isSm4 ? 'SM4' : '3DES', macInput };
}

/** By name, by 9F10; a CVR without 9F10 is Visa's CVN 10, whose input needs no more. */
function chooseVersion(input: ExplainInput, iad: IadFact | null): CryptogramVersion {
  const asked = givenText(input, 'cvn', 'cryptogram_version');
  const code = asked ?? iad?.cryptogramVersion ?? '0A';
  const version = asked === undefined ? versionOf(code) : versionByName(asked);
  if (!version) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', `cryptogram version ${code} is not known`, {
      name: 'cvn',
    });
  }
  return version;
}

function assemble(
  input: ExplainInput,
  values: ReadonlyMap<string, Uint8Array>,
  with_: {
    readonly version: CryptogramVersion;
    readonly iad: Uint8Array | null;
    readonly iadFact: IadFact | null;
  },
): Uint8Array {
  const parts = with_.version.entries.map(({ tag, lengthBytes }) => {
    const value = values.get(tag);
    if (!value) throw new ExplainError('ERR_EXPLAIN_MISSING', `${tag} is needed`, { name: tag });
    if (value.length !== lengthBytes) {
      throw new ExplainError('ERR_EXPLAIN_VALUE', `${tag} needs ${lengthBytes} bytes`, {
        name: tag,
      });
    }
    return value;
  });
  return concatBytes(...parts, tailOf(input, with_));
}

function tailOf(
  input: ExplainInput,
  with_: {
    readonly version: CryptogramVersion;
    readonly iad: Uint8Array | null;
    readonly iadFact: IadFact | null;
  },
): Uint8Array {
  const { version, iad, iadFact } = with_;
  if (version.tail === 'iad' && iad) return iad;
  const cvr =
    givenBytes(input, 'cvr') ?? (iad && iadFact?.cvr !== null ? iad.subarray(3, 7) : undefined);
  if (!cvr || cvr.length < 2 || version.tail === 'iad') {
    throw new ExplainError('ERR_EXPLAIN_MISSING', '9F10 or the CVR is needed', { name: '9F10' });
  }
  return version.tail === 'cvr' ? cvr : cvr.subarray(1, 2);
}

/** Card key of the issuer's, session key of the card's, or whichever was given. */
function collectKeys({ ciphers, input }: ExplainContext, data: Data): Keys {
  const given = keyOf(input, SESSION_NAMES);
  if (given) {
    const steps = [step(both('session key, given', '过程密钥（已给出）'), toHex(given))];
    return { given, iccMasterKey: null, sessionKey: given, method: 'given', steps };
  }
  const steps: CheckStep[] = [];
  const master = keyOf(input, MASTER_NAMES);
  const iccMasterKey = master
    ? cardKey({ ciphers, input, options: {} }, master, data)
    : (keyOf(input, CARD_KEY_NAMES) ?? null);
  if (!iccMasterKey)
    return {
      given: null,
      iccMasterKey: null,
      sessionKey: null,
      method: data.version.sessionKey,
      steps,
    };
  steps.push(step(both('card key (UDK)', '卡片子密钥 UDK'), toHex(iccMasterKey)));
  const atc = data.values.get('9F36') ?? givenBytes(input, 'atc');
  const method = data.algorithm === 'SM4' ? 'PBOC' : data.version.sessionKey;
  if (method !== 'none' && atc?.length !== 2) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'the ATC (9F36) of 2 bytes is needed', {
      name: '9F36',
    });
  }
  const sessionKey = sessionKeyOf(ciphers, {
    iccMasterKey,
    atc: atc ?? new Uint8Array(2),
    method,
    algorithm: data.algorithm,
  });
  steps.push(step(both(`session key (${method})`, `过程密钥（${method}）`), toHex(sessionKey)));
  return { given: master ?? iccMasterKey, iccMasterKey, sessionKey, method, steps };
}

function keyOf(input: ExplainInput, names: readonly string[]): Uint8Array | undefined {
  const key = givenBytes(input, ...names);
  if (key && key.length !== 16) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', 'a key of 16 bytes is needed', {
      name: names[0] ?? '',
    });
  }
  return key;
}

type CardIdentity = { readonly pan: string | null; readonly panSequenceNumber: string | null };

/** PAN and sequence number by name, of 5A and 5F34, or of track 2. */
function identityOf(input: ExplainInput, data: Data): CardIdentity {
  const track = data.values.get('57');
  const number = data.values.get('5A');
  const sequence = data.values.get('5F34');
  const read = number
    ? toHex(number).replace(/F+$/, '')
    : track
      ? toHex(track).split('D')[0]
      : null;
  return {
    pan: (givenText(input, 'pan') ?? read ?? null)?.replace(/\s/g, '') ?? null,
    panSequenceNumber: givenText(input, 'psn', '5F34') ?? (sequence ? toHex(sequence) : null),
  };
}

function cardKey({ ciphers, input }: ExplainContext, master: Uint8Array, data: Data): Uint8Array {
  const identity = identityOf(input, data);
  const pan = identity.pan ?? '';
  if (!/^[0-9]{12,19}$/.test(pan)) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'the PAN of 12 to 19 digits is needed', {
      name: 'pan',
    });
  }
  const panSequenceNumber = (identity.panSequenceNumber ?? '00').padStart(2, '0');
  if (!/^[0-9]{2}$/.test(panSequenceNumber)) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', 'the PAN sequence number has 2 digits', {
      name: 'psn',
    });
  }
  return data.algorithm === 'SM4'
    ? deriveSm4IccMasterKey(ciphers, master, { pan, panSequenceNumber })
    : deriveIccMasterKey(master, pan, panSequenceNumber);
}

function inputSteps(data: Data): readonly CheckStep[] {
  const padding = both(
    `ISO 9797-1 padding ${data.version.padding}`,
    `ISO 9797-1 填充方式 ${data.version.padding}`,
  );
  return [
    step(
      both(
        `input of ${data.version.name.en}, ${data.macInput.length} bytes`,
        `${data.version.name.zh} 的输入，${data.macInput.length} 字节`,
      ),
      toHex(data.macInput),
    ),
    step(padding, data.version.padding === 2 ? '80 00…' : '00…'),
    step(
      both('MAC algorithm', 'MAC 算法'),
      data.algorithm === 'SM4' ? 'SM4-CBC' : 'ISO 9797-1 algorithm 3',
    ),
  ];
}

/** ARPC by method 1 (ARC) or 2 (CSU and proprietary data). @see EMV 4.3 B2 §8.2 */
function arpcOf(
  { ciphers, input }: ExplainContext,
  data: Data,
  with_: { readonly sessionKey: Uint8Array | null; readonly cryptogram: Uint8Array | null },
): Answer {
  const arc = responseCode(input) ?? null;
  const authentication = givenBytes(input, '91', 'arpc', 'issuer_authentication_data') ?? null;
  const isFirst = data.version.arpcMethod === 1;
  const given = authentication ? authentication.subarray(0, isFirst ? 8 : 4) : null;
  const { sessionKey, cryptogram } = with_;
  const none = { arc, arpc: null, given, checks: [] };
  if (!sessionKey || cryptogram?.length !== 8) return none;
  const mixed = isFirst ? arc : (givenBytes(input, 'csu') ?? null);
  if (!mixed || mixed.length !== (isFirst ? 2 : 4)) return none;
  const padded = concatBytes(mixed, new Uint8Array(8 - mixed.length));
  const arpc = !isFirst
    ? retailMac(
        sessionKey,
        concatBytes(cryptogram, mixed, givenBytes(input, 'proprietary') ?? new Uint8Array(0)),
        { padding: 2 },
      ).slice(0, 4)
    : data.algorithm === 'SM4'
      ? sm4Arpc(ciphers, sessionKey, { cryptogram, authorisationResponseCode: mixed })
      : arpcMethod1(sessionKey, cryptogram, mixed);
  const steps = [
    step(both('cryptogram', '密文'), toHex(cryptogram)),
    step(
      isFirst
        ? both('authorisation response code', '授权响应码')
        : both('card status update', '卡状态更新'),
      toHex(mixed),
    ),
    ...(isFirst
      ? [step(both('cryptogram XOR code', '密文异或响应码'), toHex(xorBytes(cryptogram, padded)))]
      : []),
    step(both('ARPC', '授权响应密文 ARPC'), toHex(arpc)),
  ];
  const checks: readonly ExplainCheck[] = given
    ? [comparison('arpc', { expected: toHex(given), actual: toHex(arpc) }, steps)]
    : [{ name: 'arpc', result: 'notPossible', steps }];
  return { arc, arpc, given, checks };
}

/** Two characters, or their hex. */
function responseCode(input: ExplainInput): Uint8Array | undefined {
  const text = givenText(input, 'arc', '8A');
  if (text === undefined) return undefined;
  if (/^[0-9A-Za-z]{2}$/.test(text)) return asciiToBytes(text);
  const bytes = givenBytes(input, 'arc', '8A');
  if (bytes?.length !== 2) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', 'the response code has 2 characters', {
      name: 'arc',
    });
  }
  return bytes;
}

/** The e-cash balance's own MAC, when the key for MACs is there too. @see PBOC3 P13 */
function balanceCheck(context: ExplainContext, data: Data): readonly ExplainCheck[] {
  const { ciphers, input } = context;
  const mac = data.iadFact?.discretionary?.mac ?? null;
  const balance = data.iad && mac !== null ? decodeBalance(data.iad.subarray(9)) : null;
  const master = keyOf(input, ['imk_mac', 'mdk_mac']);
  const atc = data.values.get('9F36');
  const key = master ? cardKey(context, master, data) : keyOf(input, ['udk_mac', 'mk_mac']);
  if (mac === null || !balance || !key || atc?.length !== 2) return [];
  const sessionKeyMac = sessionKeyOf(ciphers, {
    iccMasterKey: key,
    atc,
    method: 'PBOC',
    algorithm: data.algorithm,
  });
  const algorithm = data.iad ? byteAt(data.iad, 7) : 1;
  const actual = toHex(ecBalanceMac(ciphers, { algorithm, sessionKeyMac, atc, balance }));
  const steps = [
    step(both('session key for MACs', 'MAC 过程密钥'), toHex(sessionKeyMac)),
    step(
      both('ATC and balance (no public text gives this rule)', 'ATC 与余额（此规则无公开文本）'),
      toHex(concatBytes(atc, balance)),
    ),
  ];
  return [comparison('balanceMac', { expected: mac, actual }, steps)];
}

function decodeBalance(discretionary: Uint8Array): Uint8Array | null {
  return discretionary.length === 10 && /^[0-9]{10}$/.test(toHex(discretionary.subarray(1, 6)))
    ? (decodeEcBalanceData(discretionary)?.balance ?? null)
    : null;
}

function summaryOf(facts: CryptogramFacts): Pick<Explained, 'summaryEn' | 'summaryZh'> {
  const type = facts.cryptogramType ?? 'cryptogram';
  const verdict =
    facts.verified === null
      ? both(
          facts.cryptogram ? `is ${facts.cryptogram}` : 'not computed: no key',
          facts.cryptogram ? `为 ${facts.cryptogram}` : '未计算：无密钥',
        )
      : facts.verified
        ? both('is right', '正确')
        : both(`is wrong: ${facts.cryptogram} expected`, `错误：应为 ${facts.cryptogram}`);
  const arpc = facts.arpc ? `; ARPC ${facts.arpc}` : '';
  return {
    summaryEn: `${type} ${facts.cryptogramGiven ?? ''} ${verdict.en}${arpc}`.replace(/ {2}/g, ' '),
    summaryZh: `${type} ${facts.cryptogramGiven ?? ''} ${verdict.zh}${arpc}`.replace(/ {2}/g, ' '),
  };
}

function findingsFor(facts: CryptogramFacts, data: Data): readonly Finding[] {
  const findings: Finding[] = [...(data.iad ? readIad(data.iad, 0).findings : [])];
  if (facts.verified === false) {
    const message = both(
      'the cryptogram does not stand: other key, PAN, sequence number, ATC or data',
      '密文不符：密钥、主账号、序列号、ATC 或数据有误',
    );
    findings.push(finding('error', 'CRYPTOGRAM_WRONG', null, message));
  }
  if (facts.arpcVerified === false) {
    findings.push(
      finding('error', 'ARPC_WRONG', null, both('the ARPC does not stand', 'ARPC 不符')),
    );
  }
  return findings;
}

function treeOf(data: Data): Explained['tree'] {
  const currency = data.values.get('5F2A');
  const context = { offsetBytes: 0, currency: currency ? toHex(currency) : undefined };
  const children = [...data.values].map(([tag, value]) =>
    valueNode(tag, value, readValue(tag, value, context), 0),
  );
  return [nodeOf(data.version.name, null, { value: toHex(data.macInput), children })];
}

/** Application cryptograms. */
export const CRYPTOGRAM_MODULE: ExplainModule = {
  kind: 'cryptogram',
  detect,
  explain: explainCryptogram,
};
