/**
 * A chip with electronic cash at the real kernel, and this issuer behind it: contacts that run to
 * their end, or are torn at a named place.
 */
import { generateKeyPairSync } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { iccSummary } from '@tapnpay/protocol/emv/data';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import {
  type ContactOutcome,
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  type Kernel,
  type KernelOutcome,
  type OnlineAnswer,
  type OnlineRequest,
  terminalProfileOf,
} from '@tapnpay/protocol/emv/terminal';
import { decodeResponse, decodeTlv, encodeCommand, encodeTlv } from '@tapnpay/protocol/iso7816';
import {
  type Iso8583Message,
  makeMessage,
  type TransactionKind,
  transactionSpec,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { sampleCard } from '../../../../protocol/src/emv/icc/sample.test-card.ts';
import {
  type Answer,
  chipKeysOf,
  commonFields,
  EXPIRY,
  type FieldChanges,
  type IssuerWorld,
  PIN,
  panOf,
  pinOnLine,
  withMac,
} from '../issuer.test-kit.ts';
import { isLoadKind, loadTransactionType } from './load-types.ts';

const INS_EXTERNAL_AUTHENTICATE = 0x82;
const CLA_SCRIPTS: ReadonlySet<number> = new Set([0x04, 0x84]);

function rsaKey(modulusLength: number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}
const RSA_KEYS = { ca: rsaKey(1024), issuer: rsaKey(1024), icc: rsaKey(1024) };

const TERMINAL = terminalProfileOf(
  {
    terminalTransactionQualifiers: '26000080',
    countryCode: '0156',
    terminalType: '22',
    terminalCapabilities: 'E040C0',
    additionalTerminalCapabilities: 'F000F0A001',
    aids: [
      {
        aid: 'A000000333',
        applicationVersion: '0030',
        tacDefault: 'D84000A800',
        tacDenial: '0010000000',
        tacOnline: 'D84004F800',
        floorLimitMinor: '0',
        defaultDdol: '9F3704',
        contactless: {
          floorLimitMinor: '0',
          transactionLimitMinor: '500000',
          cvmLimitMinor: '30000',
        },
      },
    ],
    caPublicKeys: [sampleCard(nodeCiphers, RSA_KEYS).caKey],
  },
  {
    ciphers: nodeCiphers,
    currency: '156',
    currencyExponent: 2,
    interfaceDeviceSerialNumber: 'TEST0001',
  },
);

/** Where a contact ends too early. */
export type Tear =
  /** The request does not reach the issuer. */
  | 'beforeIssuer'
  /** The answer does not reach the card. */
  | 'beforeCard'
  /** After the proof, before the second cryptogram. */
  | 'beforeSecond'
  /** After the second cryptogram, before the script. */
  | 'beforeScript'
  /** The card has done the script, and nobody heard it. */
  | 'afterScript';

/** How a contact differs from an ordinary sale. */
export type ContactOptions = {
  readonly kind?: TransactionKind;
  readonly amount?: bigint;
  readonly tear?: Tear;
  /** What the holder types. */
  readonly pin?: string | null;
  readonly tapped?: boolean;
  /** Fields of the message that differ. */
  readonly fields?: FieldChanges;
  /** Turns a value of field 55 (hex) into another after the card has signed. */
  readonly bend?: readonly [tag: string, bent: (hex: string) => string];
  /** 9C of the terminal; that of the kind when nothing is said. */
  readonly transactionType?: number;
};

/** What came of a contact. */
export type ContactEnd = {
  readonly message: Iso8583Message;
  readonly answer: Answer | null;
  /** Null when it was torn. */
  readonly outcome: KernelOutcome | null;
  /** Hex of all script results, empty without. */
  readonly results: string;
};

/** One card in the cardholder's hand. */
export class PurseCard {
  readonly pan: string;
  readonly #world: IssuerWorld;
  #image: ReturnType<typeof sampleCard>['image'];

  constructor(world: IssuerWorld, facts: { readonly account: number; readonly balance?: string }) {
    this.#world = world;
    this.pan = panOf(facts.account);
    const balanceMinor = facts.balance ?? '500';
    this.#image = sampleCard(nodeCiphers, RSA_KEYS, {
      pan: this.pan,
      keys: chipKeysOf(this.pan),
      pin: PIN,
      electronicCash: balanceMinor === 'none' ? null : { balanceMinor },
    }).image;
  }

  /** 9F79 of the chip. */
  get balanceMinor(): bigint {
    const [application] = this.#image.applications;
    return BigInt(application?.state.electronicCash?.balanceMinor ?? -1);
  }

  get image(): ReturnType<typeof sampleCard>['image'] {
    return this.#image;
  }

  get atc(): number {
    return iccSummary(this.#image).applicationTransactionCounter;
  }

  /** The purse pays by itself, at a shop whose upload comes later or never. */
  spend(amountMinor: bigint): void {
    const [application, ...others] = this.#image.applications;
    const cash = application?.state.electronicCash;
    if (!application || !cash) throw new Error('no purse');
    const left = String(BigInt(cash.balanceMinor) - amountMinor);
    const state = { ...application.state, electronicCash: { ...cash, balanceMinor: left } };
    this.#image = { ...this.#image, applications: [{ ...application, state }, ...others] };
  }

  /** One contact from insertion to its end. */
  async contact(options: ContactOptions = {}): Promise<ContactEnd> {
    const { tear, tapped = false } = options;
    let message: Iso8583Message | null = null;
    let answer: Answer | null = null;
    let isGone = false;
    const icc = createVirtualIcc({
      image: this.#image,
      interface: tapped ? 'contactless' : 'contact',
      ciphers: nodeCiphers,
      random: systemRandom,
    });
    const transmit = (command: Uint8Array): Uint8Array => {
      if (isGone) throw new Error('card gone');
      const response = icc.transmit(command);
      this.#image = icc.image();
      return response;
    };
    let outcome: KernelOutcome | null = null;
    try {
      outcome = await driveKernel(this.#kernel(options), {
        transmit: (command) => {
          const isScript = CLA_SCRIPTS.has(command.cla);
          if (tear === 'beforeScript' && isScript) isGone = true;
          const response = decodeResponse(transmit(encodeCommand(command)));
          const isProof = command.ins === INS_EXTERNAL_AUTHENTICATE;
          if (tear === 'beforeSecond' && isProof) isGone = true;
          if (tear === 'afterScript' && isScript) isGone = true;
          return tapped ? withoutFiles(response) : response;
        },
        random: (lengthBytes) => systemRandom.bytes(lengthBytes),
        selectApplication: () => 0,
        enterPin: () => 'entered' as const,
        authorise: async (request): Promise<OnlineAnswer> => {
          message = this.#messageOf(request, options);
          if (tear === 'beforeIssuer') return { result: 'unknown' };
          answer = await this.#world.send(message);
          if (answer === null || tear === 'beforeCard') return { result: 'unknown' };
          return answerForCard(answer);
        },
      });
    } catch (thrown) {
      if (!isGone) throw thrown;
    }
    if (message === null) throw new Error(`no request: ${JSON.stringify(outcome?.reason)}`);
    const isTorn = isGone;
    const results = isTorn ? '' : (outcome?.scriptResults ?? []).map(toHex).join('');
    return { message, answer, outcome: isTorn ? null : outcome, results };
  }

  #kernel({
    kind = 'sale',
    amount = 100n,
    tapped,
    transactionType,
  }: ContactOptions): Kernel<KernelOutcome> {
    const own = isLoadKind(kind) ? Number.parseInt(loadTransactionType(kind) ?? '', 16) : 0;
    const transaction = {
      ciphers: nodeCiphers,
      terminal: TERMINAL,
      amountMinor: amount,
      otherAmountMinor: 0n,
      transactionType: transactionType ?? own,
      dateYymmdd: '261125',
      timeHhmmss: '120000',
      sequenceCounter: 1,
      forceOnline: true,
      merchant: { merchantId: 'MERCHANT0000001', terminalId: 'TERM0001' },
    };
    return tapped
      ? contactlessTransaction(transaction)
      : (contactTransaction(transaction) as Kernel<ContactOutcome>);
  }

  #messageOf(request: OnlineRequest, options: ContactOptions): Iso8583Message {
    const { kind = 'sale', tapped = false, pin = PIN, bend } = options;
    const { mti, processingCode, conditionCode } = transactionSpec(kind);
    const amount = String(options.amount ?? 100n).padStart(12, '0');
    const hasPin = request.pinRequired && pin !== null;
    const objects = decodeTlv(request.field55).map(({ tag, value }) =>
      encodeTlv(tag, tag === bend?.[0] ? fromHex(bend[1](toHex(value))) : value),
    );
    const iccData = new Uint8Array(Buffer.concat(objects));
    return withMac(
      makeMessage(mti, [
        ...commonFields({ pan: this.pan, amount, stan: this.#world.nextStan() }),
        [3, processingCode],
        [14, EXPIRY],
        [22, `${tapped ? '07' : '05'}${request.pinRequired ? '1' : '2'}`],
        [25, conditionCode],
        [35, request.track2?.expose()],
        [52, hasPin ? pinOnLine(pin, this.pan) : undefined],
        [55, iccData],
        ...(options.fields ?? []),
      ]),
    );
  }

  /** The notice of a contact's results. */
  notice(end: Pick<ContactEnd, 'message' | 'results'>, fields: FieldChanges = []): Iso8583Message {
    const text = (number: number): string => String(end.message.fields.get(number) ?? '');
    const told = end.results === '' ? undefined : encodeTlv('DF31', fromHex(end.results));
    const message = makeMessage('0620', [
      ...commonFields({ pan: this.pan, amount: text(4), stan: this.#world.nextStan() }),
      [3, text(3)],
      [25, text(25)],
      [55, told],
      [90, `${end.message.mti}${text(11)}${text(7)}${'49990000001'.repeat(2)}`],
    ]);
    return withMac(withFields(message, fields));
  }
}

function answerForCard(answer: Answer): OnlineAnswer {
  const iccData = answer.message.fields.get(55);
  const objects = iccData instanceof Uint8Array ? decodeTlv(iccData) : [];
  const scripts = objects
    .filter(({ tag }) => tag === '71' || tag === '72')
    .map(({ tag, value }) => encodeTlv(tag, value));
  const { code: responseCode, proof } = answer;
  return {
    result: 'answered',
    responseCode,
    scripts,
    ...(proof === null ? {} : { issuerAuthenticationData: fromHex(proof) }),
  };
}

/** A card that goes online may name no files; it is then not authenticated. @see EMV C-7 §3.4 */
function withoutFiles(response: ReturnType<typeof decodeResponse>): typeof response {
  const [template] = response.data.length > 0 ? decodeTlv(response.data) : [];
  if (template?.tag !== '77' || !template.children) return response;
  const kept = template.children.filter(({ tag }) => tag !== '94');
  const bytes = Buffer.concat(kept.map(({ tag, value }) => encodeTlv(tag, value)));
  return { ...response, data: encodeTlv('77', new Uint8Array(bytes)) };
}
