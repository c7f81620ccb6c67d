/**
 * A second opinion on the contact kernel: what TVR, TSI, CVM results and decision must be for one
 * configuration, written from the standard's tables alone. Deliberately simple: bits are numbers
 * `[byte, mask]`, nothing is shared with the kernel, no card is asked. SDA and DDA only.
 * @see EMV 4.3 B3 §10, Annex C
 */

/** How the cardholder and the PIN pad behave. */
export type PinScene = 'entered' | 'bypassed' | 'cancelled' | 'unavailable';

/** What is wrong with the card's certificates. */
export type OdaTrouble =
  | 'none'
  | 'noCaKey'
  | 'revoked'
  | 'badIssuerCertificate'
  | 'missingIssuerCertificate'
  | 'badIccCertificate'
  | 'expiredIssuerCertificate'
  | 'expiredIccCertificate'
  | 'missingIccCertificate'
  | 'badStaticSignature'
  | 'missingStaticSignature'
  | 'badDynamicSignature';

/** One card at one terminal, all in plain values; hex is upper case. */
export type Configuration = {
  readonly seed: number;
  readonly terminal: {
    readonly type: number;
    /** Bytes 2 and 3 of 9F33. */
    readonly cvmCapabilities: number;
    readonly securityCapabilities: number;
    readonly tac: { readonly denial: string; readonly online: string; readonly default: string };
    readonly floorLimit: number;
    readonly random: {
      readonly target: number;
      readonly maximum: number;
      readonly threshold: number;
    };
    /** What the terminal draws, 1 to 99. */
    readonly drawn: number;
    readonly onExceptionFile: boolean;
    /** Of this card in the terminal's log. */
    readonly loggedAmount: number;
    readonly paysCash: boolean;
  };
  readonly transaction: {
    readonly amount: number;
    readonly type: 0x00 | 0x01 | 0x09;
    readonly date: string;
    readonly forceOnline: boolean;
  };
  readonly card: {
    /** Byte 1 of the AIP. */
    readonly aip: number;
    readonly cvm: {
      readonly x: number;
      readonly y: number;
      readonly rules: readonly (readonly [method: number, condition: number])[];
    } | null;
    readonly iac: { readonly [kind in 'denial' | 'online' | 'default']: string | null };
    readonly usageControl: string | null;
    readonly issuerCountry: string | null;
    readonly version: string | null;
    readonly currency: string | null;
    readonly effective: string | null;
    readonly expires: string;
    readonly lowerLimit: number | null;
    readonly upperLimit: number | null;
    readonly atc: number | null;
    readonly lastOnlineAtc: number | null;
    readonly pinTries: number | null;
    readonly oda: OdaTrouble;
    /** What the first GENERATE AC answers: what was asked, or less. */
    readonly first: 'asAsked' | 'ARQC' | 'AAC';
    readonly second: 'asAsked' | 'AAC';
    readonly acceptsIssuer: boolean;
  };
  readonly pin: { readonly scene: PinScene; readonly wrongTries: number };
  readonly issuer: {
    readonly result: 'answered' | 'unable' | 'unknown';
    readonly code: string;
    readonly arpc: boolean;
    readonly scripts: readonly { readonly tag: '71' | '72'; readonly works: boolean }[];
  };
};

/** What must come of it. `beforeAc`: at terminal action analysis. */
export type Verdict = {
  readonly tvrBeforeAc: string;
  readonly tsiBeforeAc: string;
  readonly cvmResults: string;
  readonly requested: 'TC' | 'ARQC' | 'AAC' | null;
  readonly requestedSecond: 'TC' | 'AAC' | null;
  readonly outcome: 'approved' | 'declined' | 'unknown' | 'cancelled';
  readonly tvr: string;
  readonly tsi: string;
};

type Bit = readonly [byte: number, mask: number];
/** @see EMV 4.3 B3 §C5 table 42 */
const TVR = {
  odaNotPerformed: [1, 0x80],
  sdaFailed: [1, 0x40],
  dataMissing: [1, 0x20],
  exceptionFile: [1, 0x10],
  ddaFailed: [1, 0x08],
  sdaSelected: [1, 0x02],
  versions: [2, 0x80],
  expired: [2, 0x40],
  notYetEffective: [2, 0x20],
  serviceNotAllowed: [2, 0x10],
  newCard: [2, 0x08],
  cvmFailed: [3, 0x80],
  unrecognisedCvm: [3, 0x40],
  pinTryLimit: [3, 0x20],
  pinPadMissing: [3, 0x10],
  pinNotEntered: [3, 0x08],
  onlinePin: [3, 0x04],
  floorLimit: [4, 0x80],
  lowerLimit: [4, 0x40],
  upperLimit: [4, 0x20],
  random: [4, 0x10],
  forced: [4, 0x08],
  issuerAuthenticationFailed: [5, 0x40],
  scriptBefore: [5, 0x20],
  scriptAfter: [5, 0x10],
} as const satisfies Record<string, Bit>;
/** @see EMV 4.3 B3 §C6 table 43 */
const TSI = {
  oda: [1, 0x80],
  cvm: [1, 0x40],
  cardRisk: [1, 0x20],
  issuerAuthentication: [1, 0x10],
  terminalRisk: [1, 0x08],
  script: [1, 0x04],
} as const satisfies Record<string, Bit>;

class Bits {
  readonly #bytes: number[];

  constructor(length: number) {
    this.#bytes = new Array<number>(length).fill(0);
  }

  set([byte, mask]: Bit): void {
    this.#bytes[byte - 1] = (this.#bytes[byte - 1] ?? 0) | mask;
  }

  meets(code: string): boolean {
    const other = code.match(/../g) ?? [];
    return this.#bytes.some((byte, at) => (byte & Number.parseInt(other[at] ?? '00', 16)) !== 0);
  }

  hex(): string {
    return this.#bytes
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .toUpperCase();
  }
}

/** The whole transaction by the tables. */
export function judge(configuration: Configuration): Verdict {
  const tvr = new Bits(5);
  const tsi = new Bits(2);
  judgeOda(configuration, tvr, tsi);
  judgeRestrictions(configuration, tvr);
  const cvm = judgeCvm(configuration, tvr, tsi);
  const none = { requested: null, requestedSecond: null } as const;
  const now = (): { tvr: string; tsi: string } => ({ tvr: tvr.hex(), tsi: tsi.hex() });
  if (cvm === 'cancelled') {
    const before = { tvrBeforeAc: '', tsiBeforeAc: '', cvmResults: '' };
    return { ...before, ...none, outcome: 'cancelled', ...now() };
  }
  judgeRisk(configuration, tvr, tsi);
  const before = { tvrBeforeAc: tvr.hex(), tsiBeforeAc: tsi.hex(), cvmResults: cvm };
  const requested = judgeAction(configuration, tvr);
  const wish = configuration.card.first;
  const first = wish === 'asAsked' || requested === 'AAC' ? requested : wish;
  tsi.set(TSI.cardRisk);
  const start = { ...before, requested };
  if (first !== 'ARQC') {
    const outcome = first === 'TC' ? 'approved' : 'declined';
    return { ...start, requestedSecond: null, outcome, ...now() };
  }
  const end = judgeCompletion(configuration, tvr, tsi);
  return { ...start, ...end, ...now() };
}

/** §10.3: the strongest method both know; SDA and DDA only. */
function judgeOda({ card, terminal }: Configuration, tvr: Bits, tsi: Bits): void {
  const both = (aipMask: number, capability: number): boolean =>
    (card.aip & aipMask) !== 0 && (terminal.securityCapabilities & capability) !== 0;
  if (both(0x20, 0x40)) {
    tsi.set(TSI.oda);
    if ([...KEY_TROUBLES, 'badDynamicSignature'].includes(card.oda)) tvr.set(TVR.ddaFailed);
    if (['missingIssuerCertificate', 'missingIccCertificate'].includes(card.oda)) {
      tvr.set(TVR.dataMissing);
    }
  } else if (both(0x40, 0x80)) {
    tsi.set(TSI.oda);
    tvr.set(TVR.sdaSelected);
    const breaks: readonly OdaTrouble[] = [
      ...(['noCaKey', 'revoked', 'badIssuerCertificate', 'missingIssuerCertificate'] as const),
      ...(['badStaticSignature', 'missingStaticSignature'] as const),
      'expiredIssuerCertificate',
    ];
    if (breaks.includes(card.oda)) tvr.set(TVR.sdaFailed);
    if (['missingIssuerCertificate', 'missingStaticSignature'].includes(card.oda)) {
      tvr.set(TVR.dataMissing);
    }
  } else {
    tvr.set(TVR.odaNotPerformed);
  }
}

/** §10.4. */
function judgeRestrictions({ card, terminal, transaction }: Configuration, tvr: Bits): void {
  if (card.version !== null && card.version !== '0030') tvr.set(TVR.versions);
  if (card.usageControl !== null && !isServiceAllowed({ card, terminal, transaction })) {
    tvr.set(TVR.serviceNotAllowed);
  }
  if (card.effective !== null && transaction.date < card.effective) tvr.set(TVR.notYetEffective);
  if (transaction.date > card.expires) tvr.set(TVR.expired);
}

/** §10.4.2 table 36: application usage control. */
function isServiceAllowed({
  card,
  terminal,
  transaction,
}: Pick<Configuration, 'card' | 'terminal' | 'transaction'>): boolean {
  const one = Number.parseInt((card.usageControl ?? '').slice(0, 2), 16);
  const two = Number.parseInt((card.usageControl ?? '').slice(2), 16);
  const isAtm = [0x14, 0x15, 0x16].includes(terminal.type) && terminal.paysCash;
  if ((one & (isAtm ? 0x02 : 0x01)) === 0) return false;
  if (card.issuerCountry === null) return true;
  const isDomestic = card.issuerCountry === '0156';
  const cash = (one & (isDomestic ? 0x80 : 0x40)) !== 0;
  const goodsOrServices = (one & (isDomestic ? 0x20 | 0x08 : 0x10 | 0x04)) !== 0;
  const cashback = (two & (isDomestic ? 0x80 : 0x40)) !== 0;
  if (transaction.type === 0x01) return cash;
  return transaction.type === 0x09 ? goodsOrServices && cashback : goodsOrServices;
}

/** §10.5 and tables 39 and 40; the answer is 9F34. */
function judgeCvm(configuration: Configuration, tvr: Bits, tsi: Bits): string {
  const { card } = configuration;
  if ((card.aip & 0x10) === 0) return '3F0000';
  if (card.cvm === null) tvr.set(TVR.dataMissing);
  if (card.cvm === null || card.cvm.rules.length === 0) return '3F0000';
  const pad: PinPad = { isRefused: false };
  let results = '';
  for (const [method, condition] of card.cvm.rules) {
    if (!conditionHolds(configuration, method, condition)) continue;
    const result = performMethod(configuration, method & 0x3f, tvr, pad);
    if (result === 'cancelled') return 'cancelled';
    const code = { good: '02', unknown: '00', bad: '01' }[result];
    // B4 table 2: a method that this terminal does not know or have was not performed.
    if (isKnown(method) && isSupported(configuration.terminal.cvmCapabilities, method & 0x3f)) {
      results = `${hexByte(method)}${hexByte(condition)}${code}`;
    }
    if (result !== 'bad') {
      tsi.set(TSI.cvm);
      return results;
    }
    const isLast = (method & 0x40) === 0 || (method & 0x3f) === 0x00;
    if (isLast) break;
  }
  tsi.set(TSI.cvm);
  tvr.set(TVR.cvmFailed);
  return results === '' ? '3F0001' : results;
}

type PinPad = { isRefused: boolean };

/** Table 40. */
function conditionHolds(
  { card, terminal, transaction }: Configuration,
  method: number,
  condition: number,
): boolean {
  const isUnattended = (terminal.type & 0x0f) >= 4;
  const isCash = transaction.type === 0x01;
  const isCashback = transaction.type === 0x09;
  const isOwnCurrency = card.currency === '0156';
  const { x = 0, y = 0 } = card.cvm ?? {};
  switch (condition) {
    case 0x00:
      return true;
    case 0x01:
      return isCash && isUnattended;
    case 0x02:
      return !isCash && !isCashback;
    case 0x03:
      return isSupported(terminal.cvmCapabilities, method & 0x3f);
    case 0x04:
      return isCash && !isUnattended;
    case 0x05:
      return isCashback;
    case 0x06:
      return isOwnCurrency && transaction.amount < x;
    case 0x07:
      return isOwnCurrency && transaction.amount > x;
    case 0x08:
      return isOwnCurrency && transaction.amount < y;
    case 0x09:
      return isOwnCurrency && transaction.amount > y;
    default:
      return false;
  }
}

/** Table 39 against byte 2 of 9F33 (B4 table 26). */
function isSupported(capabilities: number, method: number): boolean {
  const has = (mask: number): boolean => (capabilities & mask) !== 0;
  switch (method) {
    case 0x00:
      return true;
    case 0x01:
      return has(0x80);
    case 0x02:
      return has(0x40);
    case 0x03:
      return has(0x80) && has(0x20);
    case 0x04:
      return has(0x10);
    case 0x05:
      return has(0x10) && has(0x20);
    case 0x1e:
      return has(0x20);
    case 0x1f:
      return has(0x08);
    default:
      return false;
  }
}

/** What keeps a terminal from the card's public key. */
const KEY_TROUBLES: readonly OdaTrouble[] = [
  ...(['noCaKey', 'revoked', 'badIssuerCertificate', 'missingIssuerCertificate'] as const),
  ...(['badIccCertificate', 'missingIccCertificate', 'expiredIccCertificate'] as const),
  'expiredIssuerCertificate',
];

/** Table 39. */
function isKnown(method: number): boolean {
  return [0, 1, 2, 3, 4, 5, 0x1e, 0x1f].includes(method & 0x3f);
}

type MethodResult = 'good' | 'bad' | 'unknown' | 'cancelled';

function performMethod(
  configuration: Configuration,
  method: number,
  tvr: Bits,
  pad: PinPad,
): MethodResult {
  const { terminal, pin } = configuration;
  const isPin = [0x01, 0x02, 0x03, 0x04, 0x05].includes(method);
  if (!isKnown(method)) {
    tvr.set(TVR.unrecognisedCvm);
    return 'bad';
  }
  if (!isSupported(terminal.cvmCapabilities, method)) {
    // A missing signature is no missing PIN pad.
    const pinAlone = { 3: 0x01, 5: 0x04 }[method] ?? method;
    if (isPin && !isSupported(terminal.cvmCapabilities, pinAlone)) tvr.set(TVR.pinPadMissing);
    return 'bad';
  }
  if (method === 0x00) return 'bad';
  if (method === 0x1e) return 'unknown';
  if (method === 0x1f) return 'good';
  if (pad.isRefused) return 'bad';
  if (method !== 0x02 && configuration.card.pinTries === 0) {
    tvr.set(TVR.pinTryLimit);
    return 'bad';
  }
  // B2 §7.1: without the card's key there is nothing to encipher with.
  const isEnciphered = method === 0x04 || method === 0x05;
  if (isEnciphered && KEY_TROUBLES.includes(configuration.card.oda)) return 'bad';
  if (pin.scene === 'cancelled') return 'cancelled';
  if (pin.scene === 'bypassed') {
    pad.isRefused = true;
    tvr.set(TVR.pinNotEntered);
    return 'bad';
  }
  if (pin.scene === 'unavailable') {
    pad.isRefused = true;
    tvr.set(TVR.pinPadMissing);
    return 'bad';
  }
  if (method === 0x02) {
    tvr.set(TVR.onlinePin);
    return 'unknown';
  }
  return offlinePin(configuration, method, tvr);
}

/** §10.5.1: the card counts down from its tries; three when it does not say. */
function offlinePin({ card, pin }: Configuration, method: number, tvr: Bits): MethodResult {
  const tries = card.pinTries ?? 3;
  if (pin.wrongTries >= tries) {
    tvr.set(TVR.pinTryLimit);
    return 'bad';
  }
  const isWithSignature = method === 0x03 || method === 0x05;
  return isWithSignature ? 'unknown' : 'good';
}

/** §10.6. */
function judgeRisk({ card, terminal, transaction }: Configuration, tvr: Bits, tsi: Bits): void {
  if (transaction.forceOnline) tvr.set(TVR.forced);
  // B4 §6.3.5: the exception file is the acquirer's, whatever the card wants.
  if (terminal.onExceptionFile) tvr.set(TVR.exceptionFile);
  if ((card.aip & 0x08) === 0) return;
  tsi.set(TSI.terminalRisk);
  const total = transaction.amount + terminal.loggedAmount;
  if (total >= terminal.floorLimit) tvr.set(TVR.floorLimit);
  else if ([2, 5].includes(terminal.type & 0x0f)) judgeRandom({ terminal, transaction }, tvr);
  judgeVelocity(card, tvr);
}

/** §10.6.2. */
function judgeRandom(
  { terminal, transaction }: Pick<Configuration, 'terminal' | 'transaction'>,
  tvr: Bits,
): void {
  const { target, maximum, threshold } = terminal.random;
  if (transaction.amount < threshold) {
    if (terminal.drawn <= target) tvr.set(TVR.random);
    return;
  }
  const factor = (transaction.amount - threshold) / (terminal.floorLimit - threshold);
  const percentage = (maximum - target) * factor + target;
  if (terminal.drawn <= percentage) tvr.set(TVR.random);
}

/** §10.6.3. */
function judgeVelocity(card: Configuration['card'], tvr: Bits): void {
  if (card.lowerLimit === null || card.upperLimit === null) return;
  if (card.atc === null || card.lastOnlineAtc === null) tvr.set(TVR.dataMissing);
  if (card.atc === null || card.lastOnlineAtc === null || card.atc <= card.lastOnlineAtc) {
    tvr.set(TVR.lowerLimit);
    tvr.set(TVR.upperLimit);
  } else {
    const difference = card.atc - card.lastOnlineAtc;
    if (difference > card.lowerLimit) tvr.set(TVR.lowerLimit);
    if (difference > card.upperLimit) tvr.set(TVR.upperLimit);
  }
  if (card.lastOnlineAtc === 0) tvr.set(TVR.newCard);
}

/** §10.7: denial first, then by what the terminal can do. */
function judgeAction(configuration: Configuration, tvr: Bits): 'TC' | 'ARQC' | 'AAC' {
  if (meets(configuration, tvr, 'denial')) return 'AAC';
  switch (configuration.terminal.type & 0x0f) {
    case 1:
    case 4:
      return 'ARQC';
    case 3:
    case 6:
      return meets(configuration, tvr, 'default') ? 'AAC' : 'TC';
    default:
      return meets(configuration, tvr, 'online') ? 'ARQC' : 'TC';
  }
}

function meets(
  { card, terminal }: Configuration,
  tvr: Bits,
  kind: 'denial' | 'online' | 'default',
): boolean {
  const absent = kind === 'denial' ? '0000000000' : 'FFFFFFFFFF';
  return tvr.meets(terminal.tac[kind]) || tvr.meets(card.iac[kind] ?? absent);
}

/** §10.9 to §10.11. */
function judgeCompletion(
  configuration: Configuration,
  tvr: Bits,
  tsi: Bits,
): Pick<Verdict, 'requestedSecond' | 'outcome'> {
  const { card, issuer, terminal } = configuration;
  if (issuer.result !== 'answered') {
    const isOnlineOnly = [1, 4].includes(terminal.type & 0x0f);
    const isDenied = isOnlineOnly || meets(configuration, tvr, 'default');
    // An open question is never closed by an offline approval.
    const asks = isDenied || issuer.result === 'unknown' ? 'AAC' : 'TC';
    const isTc = asks === 'TC' && card.second === 'asAsked';
    const outcome = issuer.result === 'unknown' ? 'unknown' : isTc ? 'approved' : 'declined';
    return { requestedSecond: asks, outcome };
  }
  if (issuer.arpc && (card.aip & 0x04) !== 0) {
    tsi.set(TSI.issuerAuthentication);
    if (!card.acceptsIssuer) tvr.set(TVR.issuerAuthenticationFailed);
  }
  const scripts = (tag: '71' | '72', bit: Bit): void => {
    for (const script of issuer.scripts.filter((one) => one.tag === tag)) {
      tsi.set(TSI.script);
      if (!script.works) tvr.set(bit);
    }
  };
  scripts('71', TVR.scriptBefore);
  const asks = issuer.code === '00' ? 'TC' : 'AAC';
  const isTc = asks === 'TC' && card.second === 'asAsked';
  scripts('72', TVR.scriptAfter);
  return { requestedSecond: asks, outcome: isTc ? 'approved' : 'declined' };
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0').toUpperCase();
}
