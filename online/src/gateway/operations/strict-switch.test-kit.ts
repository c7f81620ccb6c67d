/**
 * A switch and issuer for the gateway's tests that believe nothing: each message's fields, MAC and
 * original are checked, a message is done once however often it comes, and there is a book to
 * compare with. What goes wrong on the way is the test's to say.
 */
import assert from 'node:assert/strict';
import { toHex } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  decodeOriginalDataElements,
  type Iso8583Message,
  macBlock,
  requireText,
  type TransactionKind,
  textField,
  transactionKindOf,
  transactionSpec,
} from '@tapnpay/protocol/iso8583';
import { reply, TEST_LINE_KEYS, TEST_PAN, TestHsm } from '../gateway.test-kit.ts';

/** Something done, or refused. */
export type SwitchRecord = {
  readonly kind: TransactionKind;
  readonly key: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Key of the message that field 90 names. */
  readonly original: string | null;
  readonly code: string;
  readonly body: string;
  reversed: boolean;
  copies: number;
};

/** What happens to a message: done and answered, done unanswered, lost before anybody saw it. */
export type Weather = 'fair' | 'answerLost' | 'requestLost';

/** Fields that must be there, and must not, without a card. */
const FOLLOW_UP_FIELDS = [2, 3, 4, 7, 11, 12, 13, 18, 22, 23, 25, 32, 33, 37, 41, 42, 43, 49];
const CARD_FIELDS = [14, 35, 52, 53, 55];

/** The other end of a `TestLine`: give `script` to it. */
export class StrictSwitch {
  readonly records: SwitchRecord[] = [];
  readonly reversals: string[] = [];
  /** What was wrong with messages. */
  readonly faults: string[] = [];
  weather: (message: Iso8583Message) => Weather = () => 'fair';
  /** Field 39 of a message that is right in itself. */
  verdict: (message: Iso8583Message, kind: TransactionKind) => string = () => '00';

  readonly script = async (message: Iso8583Message): Promise<Iso8583Message | 'timeout'> => {
    const weather = this.weather(message);
    if (weather === 'requestLost') return 'timeout';
    const code = await this.#codeFor(message);
    return weather === 'answerLost' ? 'timeout' : reply(message, code);
  };

  async #codeFor(message: Iso8583Message): Promise<string> {
    try {
      await assertMac(message);
      return message.mti.startsWith('042') ? this.#reverse(message) : this.#take(message);
    } catch (fault) {
      // To the gateway it looks like silence; the test must hear of it.
      this.faults.push(String(fault));
      throw fault;
    }
  }

  /** Standing records of a kind. */
  done(kind: TransactionKind): readonly SwitchRecord[] {
    return this.records.filter((row) => row.kind === kind && row.code === '00' && !row.reversed);
  }

  /** What the payers have paid in all: sales and captures without what was given back. */
  paidMinor(): bigint {
    assert.deepEqual(this.faults, []);
    const sum = (kind: TransactionKind): bigint =>
      this.done(kind).reduce((total, { amountMinor }) => total + amountMinor, 0n);
    const back = sum('refund') + sum('saleVoid') + sum('completionVoid');
    return sum('sale') + sum('completionAdvice') - back;
  }

  #take(message: Iso8583Message): string {
    const kind = transactionKindOf(message);
    assert.ok(
      kind,
      `no kind has ${message.mti} ${textField(message, 3)} ${textField(message, 25)}`,
    );
    const first = transactionSpec(kind).mti;
    const key = keyOf({ ...message, mti: first });
    const body = bodyOf(message);
    const earlier = this.records.find((row) => row.key === key);
    if (earlier) {
      assert.equal(body, earlier.body, 'a repeat is the same in every field');
      earlier.copies++;
      return earlier.code;
    }
    assert.equal(message.mti.endsWith('1') && transactionSpec(kind).nature === 'request', false);
    const original = transactionSpec(kind).hasOriginal ? this.#originalOf(message, kind) : null;
    if (!transactionSpec(kind).hasOriginal) assertCardFields(message);
    const code = this.#codeOf(message, kind, original);
    this.records.push({
      kind,
      key,
      amountMinor: BigInt(requireText(message, 4)),
      currency: requireText(message, 49),
      original: original?.key ?? null,
      code,
      body,
      reversed: this.reversals.includes(key),
      copies: 1,
    });
    return code;
  }

  #codeOf(message: Iso8583Message, kind: TransactionKind, original: SwitchRecord | null): string {
    const code = this.verdict(message, kind);
    if (code !== '00' || !original) return code;
    const amountMinor = BigInt(requireText(message, 4));
    const sameOriginal = this.records.filter(
      (row) => row.original === original.key && row.code === '00' && !row.reversed,
    );
    const taken = sameOriginal.reduce((sum, row) => sum + row.amountMinor, 0n);
    if (kind === 'refund')
      assert.ok(taken + amountMinor <= original.amountMinor, 'refunded > paid');
    else assert.equal(sameOriginal.length, 0, `${kind} of what was used up`);
    if (kind === 'saleVoid' || kind === 'completionVoid') {
      assert.equal(amountMinor, original.amountMinor, 'a void is for the whole');
    }
    assert.ok(amountMinor <= original.amountMinor, `${kind} of more than its original`);
    return '00';
  }

  #originalOf(message: Iso8583Message, kind: TransactionKind): SwitchRecord {
    for (const field of FOLLOW_UP_FIELDS) assert.ok(message.fields.has(field), `field ${field}`);
    for (const field of CARD_FIELDS) assert.ok(!message.fields.has(field), `field ${field}`);
    assert.equal(textField(message, 22), '012', 'no card is there');
    const { mti, stan, transmission } = decodeOriginalDataElements(message);
    const key = `${mti} ${stan} ${transmission}`;
    const original = this.records.find((row) => row.key === key && row.code === '00');
    assert.ok(original, `${kind}: original ${key} is unknown`);
    assert.ok(!original.reversed, 'original was reversed');
    // Answers to advices carry none here.
    const approvalCode = transactionSpec(original.kind).nature === 'advice' ? undefined : '123456';
    assert.equal(textField(message, 38), approvalCode, 'the approval code of the original');
    const wanted: Readonly<Partial<Record<TransactionKind, readonly TransactionKind[]>>> = {
      saleVoid: ['sale'],
      refund: ['sale', 'completionAdvice'],
      preAuthorisationCancel: ['preAuthorisation'],
      completionAdvice: ['preAuthorisation'],
      completionVoid: ['completionAdvice'],
    };
    assert.ok(wanted[kind]?.includes(original.kind), `${kind} of a ${original.kind}`);
    assert.equal(textField(message, 49), original.currency);
    assert.equal(textField(message, 2), TEST_PAN);
    return original;
  }

  #reverse(message: Iso8583Message): string {
    const { mti, stan, transmission } = decodeOriginalDataElements(message);
    const key = `${mti} ${stan} ${transmission}`;
    this.reversals.push(key);
    const original = this.records.find((row) => row.key === key);
    assert.notEqual(transactionSpec(original?.kind ?? 'sale').nature, 'advice', 'advices stand');
    if (!original) return '25';
    assert.equal(textField(message, 3), transactionSpec(original.kind).processingCode);
    assert.equal(requireText(message, 4), String(original.amountMinor).padStart(12, '0'));
    original.reversed = true;
    return '00';
  }
}

function keyOf(message: Iso8583Message): string {
  return `${message.mti} ${requireText(message, 11)} ${requireText(message, 7)}`;
}

/** Everything but type and MAC. */
function bodyOf({ fields }: Iso8583Message): string {
  const rows = [...fields].filter(([number]) => number !== 128).sort(([a], [b]) => a - b);
  return JSON.stringify(
    rows.map(([n, value]) => [n, typeof value === 'string' ? value : toHex(value)]),
  );
}

function assertCardFields(message: Iso8583Message): void {
  for (const field of [35, 55]) assert.ok(message.fields.has(field), `field ${field}`);
  assert.ok(!message.fields.has(90));
}

async function assertMac(message: Iso8583Message): Promise<void> {
  const hsm = new TestHsm();
  const data = toHex(macBlock(message));
  const mac = bytesField(message, 128);
  assert.ok(mac, 'field 128');
  const key = TEST_LINE_KEYS.mac;
  const { valid } = await hsm.call({ command: 'verifyMac', key, data, mac: toHex(mac) });
  assert.ok(valid, 'MAC');
}
