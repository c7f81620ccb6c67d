/** Seeded configurations for the differential test, and the kernel run on one of them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex, uintToBytes } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu } from '../../iso7816/index.ts';
import {
  answer,
  type TestCardOptions,
  testCard,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import type { Configuration, OdaTrouble, Verdict } from './differential-model.test-kit.ts';
import { contactTransaction } from './index.ts';
import { runKernel, type TestDriver } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };

/** Repeatable draws (mulberry32). */
class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % limit;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)];
    assert.ok(value !== undefined);
    return value;
  }

  /** Five bytes of an action code, few bits set. */
  actionCode(): string {
    const bytes = Array.from({ length: 5 }, () => (this.chance(35) ? 1 << this.below(8) : 0));
    return toHex(Uint8Array.from(bytes));
  }
}

const AMOUNTS = [1, 999, 1_000, 1_001, 5_000, 29_999, 30_000, 30_001] as const;
const TROUBLES: readonly OdaTrouble[] = [
  ...(['noCaKey', 'revoked', 'badIssuerCertificate', 'missingIssuerCertificate'] as const),
  ...(['badIccCertificate', 'missingIccCertificate', 'badStaticSignature'] as const),
  ...(['missingStaticSignature', 'badDynamicSignature', 'expiredIssuerCertificate'] as const),
  'expiredIccCertificate',
];

/** The configuration of a seed. */
export function configurationOf(seed: number): Configuration {
  const draw = new Draw(seed * 7919);
  return {
    seed,
    terminal: terminalOf(draw),
    transaction: {
      amount: draw.of(AMOUNTS),
      type: draw.of([0x00, 0x00, 0x01, 0x09] as const),
      date: draw.of(['261201', '261231', '270101', '250101', '250131', '311231', '320101']),
      forceOnline: draw.chance(15),
    },
    card: cardOf(draw),
    pin: {
      scene: draw.of(['entered', 'entered', 'entered', 'bypassed', 'unavailable', 'cancelled']),
      wrongTries: draw.of([0, 0, 0, 1, 2, 3, 4]),
    },
    issuer: {
      result: draw.of(['answered', 'answered', 'answered', 'unable', 'unknown'] as const),
      code: draw.of(['00', '00', '51', '05']),
      arpc: draw.chance(70),
      scripts: Array.from({ length: draw.below(3) }, () => ({
        tag: draw.of(['71', '72'] as const),
        works: draw.chance(60),
      })),
    },
  };
}

function terminalOf(draw: Draw): Configuration['terminal'] {
  const floorLimit = draw.of([0, 1_000, 30_000, 100_000]);
  // Below the floor limit, or there is nothing to choose from.
  const threshold = Math.min(draw.of([0, 1_000, 5_000]), Math.max(0, floorLimit - 1));
  const target = draw.below(60);
  return {
    type: draw.of([0x22, 0x22, 0x21, 0x23, 0x24, 0x25, 0x26, 0x14, 0x15, 0x16]),
    cvmCapabilities: draw.of([0xf8, 0xf8, 0x68, 0x28, 0x40, 0x80, 0x10, 0x08, 0x00, 0xb0]),
    securityCapabilities: draw.of([0xc0, 0xc0, 0x40, 0x80, 0x00]),
    tac: { denial: draw.actionCode(), online: draw.actionCode(), default: draw.actionCode() },
    floorLimit,
    random: { target, maximum: target + draw.below(40), threshold },
    drawn: 1 + draw.below(99),
    onExceptionFile: draw.chance(8),
    loggedAmount: draw.of([0, 0, 0, 1, 70_000]),
    paysCash: draw.chance(50),
  };
}

function cardOf(draw: Draw): Configuration['card'] {
  const methods = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x1e, 0x1f, 0x1e, 0x1f, 0x02, 0x06, 0x2a];
  const rules = Array.from({ length: draw.below(5) }, () => {
    const method = draw.of(methods) | (draw.chance(60) ? 0x40 : 0);
    const condition = draw.of([0, 0, 0, 3, 3, 1, 2, 4, 5, 6, 7, 8, 9, 0x0a, 0x80]);
    return [method, condition] as const;
  });
  const code = (): string | null => (draw.chance(20) ? null : draw.actionCode());
  return {
    aip: [0x40, 0x20, 0x10, 0x08, 0x04].reduce(
      (aip, mask) => (draw.chance(75) ? aip | mask : aip),
      0,
    ),
    cvm: draw.chance(8) ? null : { x: draw.of(AMOUNTS), y: draw.of(AMOUNTS), rules },
    iac: { denial: code(), online: code(), default: code() },
    usageControl: draw.chance(20)
      ? null
      : toHex(Uint8Array.of(draw.chance(60) ? 0xff : draw.below(256), draw.of([0xc0, 0x80, 0x40]))),
    issuerCountry: draw.of(['0156', '0156', '0344', null]),
    version: draw.of(['0030', '0030', '0020', null]),
    currency: draw.of(['0156', '0156', '0840', null]),
    effective: draw.of(['250101', '261201', '270101', null]),
    expires: draw.of(['311231', '311231', '261231', '261201', '241231']),
    lowerLimit: draw.of([null, 0, 2, 5]),
    upperLimit: draw.of([null, 0, 4, 9]),
    atc: draw.of([null, 6, 7, 20]),
    lastOnlineAtc: draw.of([null, 0, 2, 6, 7]),
    pinTries: draw.of([null, 0, 1, 2, 3]),
    oda: draw.chance(55) ? 'none' : draw.of(TROUBLES),
    first: draw.of(['asAsked', 'asAsked', 'asAsked', 'ARQC', 'AAC']),
    second: draw.of(['asAsked', 'asAsked', 'AAC']),
    acceptsIssuer: draw.chance(70),
  };
}

const REQUEST_OF: Readonly<Record<number, 'TC' | 'ARQC' | 'AAC'>> = {
  0: 'AAC',
  64: 'TC',
  128: 'ARQC',
};
const CID = { AAC: 0x00, TC: 0x40, ARQC: 0x80 } as const;

/** What the kernel makes of a configuration, in the model's words. */
export function runConfiguration(configuration: Configuration): Verdict {
  const { terminal, transaction, issuer } = configuration;
  const requests: ('TC' | 'ARQC' | 'AAC')[] = [];
  const card = answeringCard(configuration, requests);
  const scripts = issuer.scripts.map(({ tag, works }) =>
    encodeTlv(tag, encodeTlv('86', fromHex(works ? '0416000000' : '0418000000'))),
  );
  const arpc = issuer.arpc ? { issuerAuthenticationData: fromHex('00112233445566773030') } : {};
  const { outcome, phases } = runKernel(contactTransaction(transactionOf(configuration)), {
    transmit: card,
    random: (length) => uintToBytes(terminal.drawn - 1, length),
    authorise: () =>
      issuer.result === 'answered'
        ? { result: 'answered', responseCode: issuer.code, scripts, ...arpc }
        : { result: issuer.result },
    ...pinPadOf(configuration),
  });
  const before = phases.find(({ phase }) => phase === 'terminalActionAnalysis');
  const [first = null, second = null] = requests;
  assert.ok(outcome.outcome !== 'notAccepted', `${transaction.date}: ${outcome.reason}`);
  return {
    tvrBeforeAc: toHex(before?.tvr ?? new Uint8Array(0)),
    tsiBeforeAc: toHex(before?.tsi ?? new Uint8Array(0)),
    cvmResults: before ? toHex(outcome.cvmResults) : '',
    requested: first,
    requestedSecond: second === 'ARQC' ? null : second,
    outcome: outcome.outcome,
    tvr: toHex(outcome.tvr),
    tsi: toHex(outcome.tsi),
  };
}

function transactionOf(configuration: Configuration): Parameters<typeof contactTransaction>[0] {
  const { terminal, transaction, card } = configuration;
  const capabilities = [0xe0, terminal.cvmCapabilities, terminal.securityCapabilities];
  const revoked = {
    rid: fromHex('A000000333'),
    caIndex: 0xf0,
    serialNumber: Uint8Array.of(0, 0, 1),
  };
  return testTransaction(nodeCiphers, KEYS, {
    input: {
      amountMinor: BigInt(transaction.amount),
      transactionType: transaction.type,
      dateYymmdd: transaction.date,
      forceOnline: transaction.forceOnline,
    },
    terminal: {
      terminalType: terminal.type,
      capabilities: Uint8Array.from(capabilities),
      additionalCapabilities: fromHex(`${terminal.paysCash ? 'E0' : '60'}00F0A001`),
      isOnExceptionFile: () => terminal.onExceptionFile,
      amountLog: { amountMinorOf: () => BigInt(terminal.loggedAmount) },
      ...(card.oda === 'revoked' ? { revokedCertificates: [revoked] } : {}),
      ...(card.oda === 'noCaKey' ? { caPublicKeys: { find: () => undefined } } : {}),
    },
    aid: {
      tacDenial: fromHex(terminal.tac.denial),
      tacOnline: fromHex(terminal.tac.online),
      tacDefault: fromHex(terminal.tac.default),
      floorLimitMinor: BigInt(terminal.floorLimit),
      randomSelection: {
        targetPercentage: terminal.random.target,
        maximumTargetPercentage: terminal.random.maximum,
        thresholdMinor: BigInt(terminal.random.threshold),
      },
    },
  });
}

/** A card of the test kit with what a table cannot say: PIN, scripts, issuer authentication. */
function answeringCard(
  configuration: Configuration,
  requests: ('TC' | 'ARQC' | 'AAC')[],
): (command: CommandApdu, index: number) => ResponseApdu {
  const { card } = configuration;
  const table = testCard(nodeCiphers, KEYS, {
    ...cardOptions(card),
    override: ({ ins, p1 }) => {
      switch (ins) {
        case 0x84:
          return answer('0102030405060708');
        case 0x82:
          return answer('', card.acceptsIssuer ? 0x9000 : 0x6300);
        case 0x16:
          return answer('');
        case 0x18:
          return answer('', 0x6a80);
        case 0xae: {
          const asked = REQUEST_OF[p1] ?? 'AAC';
          requests.push(asked);
          const wish = requests.length === 1 ? card.first : card.second;
          // A card never gives more than it is asked for.
          const given = asked === 'AAC' || wish === 'asAsked' ? asked : wish;
          const cid = CID[given];
          return answer(`8013${toHex(Uint8Array.of(cid))}0006111111111111111107000103A0A80201`);
        }
        default:
          return undefined;
      }
    },
  });
  return table;
}

function cardOptions(card: Configuration['card']): TestCardOptions {
  const rules = (card.cvm?.rules ?? []).flat();
  const amounts = [uintToBytes(card.cvm?.x ?? 0, 4), uintToBytes(card.cvm?.y ?? 0, 4)];
  const list = amounts.map(toHex).join('') + toHex(Uint8Array.from(rules));
  const counters: Readonly<Record<string, string | null>> = {
    '9F36': card.atc === null ? null : toHex(uintToBytes(card.atc, 2)),
    '9F13': card.lastOnlineAtc === null ? null : toHex(uintToBytes(card.lastOnlineAtc, 2)),
    '9F17': card.pinTries === null ? null : toHex(Uint8Array.of(card.pinTries)),
  };
  const byte = (value: number | null): string | null =>
    value === null ? null : toHex(Uint8Array.of(value));
  return {
    aip: toHex(Uint8Array.of(card.aip, 0)),
    elements: {
      '8E': card.cvm === null ? null : list,
      '9F0D': card.iac.default,
      '9F0E': card.iac.denial,
      '9F0F': card.iac.online,
      '9F07': card.usageControl,
      '5F28': card.issuerCountry,
      '9F08': card.version,
      '9F42': card.currency,
      '5F25': card.effective,
      '5F24': card.expires,
      '9F14': byte(card.lowerLimit),
      '9F23': byte(card.upperLimit),
    },
    issuerExpiryMmyy: card.oda === 'expiredIssuerCertificate' ? '1224' : '1235',
    iccExpiryMmyy: card.oda === 'expiredIccCertificate' ? '1224' : '1235',
    forged: forgedBy(card.oda),
    getData: Object.fromEntries(
      Object.entries(counters).flatMap(([tag, value]) => (value === null ? [] : [[tag, value]])),
    ),
    ...(card.oda === 'badDynamicSignature'
      ? { signature: (bytes) => bytes.map((value, at) => (at === 40 ? value ^ 1 : value)) }
      : {}),
  };
}

/** A certificate of the right length that nobody signed. */
const FORGED = `00${'5A'.repeat(127)}`;

function forgedBy(trouble: OdaTrouble): Readonly<Record<string, string | null>> {
  switch (trouble) {
    case 'badIssuerCertificate':
      return { '90': FORGED };
    case 'missingIssuerCertificate':
      return { '90': null };
    case 'badIccCertificate':
      return { '9F46': FORGED };
    case 'missingIccCertificate':
      return { '9F46': null };
    case 'badStaticSignature':
      return { '93': FORGED };
    case 'missingStaticSignature':
      return { '93': null };
    default:
      return {};
  }
}

/** Entry as the scene says; VERIFY is wrong so many times, then right while tries are left. */
function pinPadOf({ pin, card }: Configuration): Partial<TestDriver> {
  let tries = card.pinTries ?? 3;
  let wrong = pin.wrongTries;
  return {
    enterPin: () => pin.scene,
    verifyPin: () => {
      if (tries === 0) return answer('', 0x6983);
      if (wrong === 0) return answer('');
      wrong -= 1;
      tries -= 1;
      return answer('', 0x63c0 | tries);
    },
  };
}
