/** `tapnpay cards new`: a card from a card model, made by the lab's issuer or by one of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { personaliseCard, type VirtualCards } from '@tapnpay/agent';
import { type CardAccount, labPan, personaliseModel, readHsmTokens } from '@tapnpay/online/hsm';
import { connectHsm } from '@tapnpay/online/runtime';
import { maskPan, TapError, toHex } from '@tapnpay/protocol/bytes';
import { type CardModel, parseCardModel } from '@tapnpay/protocol/emv/data';
import { nodeCiphers, systemClock, systemRandom } from '@tapnpay/protocol/node';
import type { Hsm } from '@tapnpay/protocol/wire';
import { type OptionValues, textOption, UsageError } from '../command.ts';
import { readSystemConfig } from '../system/layout.ts';
import { limitsOf } from './card-limits.ts';
import { drawPin, removePinMailer, withPin, writePinMailer } from './cards-pin.ts';

/** Years that a card without a model is valid. */
const YEARS_VALID = 5;
/** Account digits of a random PAN: the lab's own cards have lower ones. */
const ACCOUNT_DIGITS = 9;

/** How long the lab's issuer may take to answer. */
const CONNECT_TIMEOUT_MS = 1_000;

/** What came of it. */
type Made = {
  readonly name: string;
  /** `lab`: the card pays in this system; `own`: no issuer knows it. */
  readonly issuer: 'lab' | 'own';
  readonly panMasked: string;
  readonly applications: readonly { readonly product: string; readonly aid: string }[];
  readonly troubles: readonly string[];
  /** File of the CA's public keys that check the card. */
  readonly caKeys: string;
  /** File with the PIN, if one was drawn. */
  readonly pinMailer: string | null;
};

/** How a lab card's account differs from the ordinary one, and whether its PIN is drawn. */
type Wishes = {
  readonly account: CardAccount & { readonly balanceMinor?: string };
  readonly isPinDrawn: boolean;
};

/**
 * Makes card NAME of the model in FILE (`-`: standard input; none: a debit card).
 * @throws UsageError for an unreadable file; EmvDataError `ERR_CARD_MODEL`; HsmError, AgentError
 * for a name that is taken; TapError `ERR_LAB_DOWN` when the lab's issuer does not run.
 */
export async function newCommand(
  values: OptionValues,
  wanted: { readonly name: string; readonly file: string | undefined; readonly dataDir: string },
  openCards: () => VirtualCards,
): Promise<number> {
  const { name, file, dataDir } = wanted;
  const modelText = file === undefined ? plainModel() : readModel(file);
  const wishes = wishesOf(values);
  const made =
    values['own-issuer'] === true
      ? makeOwn({ name, modelText, directory: join(dataDir, 'cards') }, openCards())
      : await makeAtLab({ name, modelText, dataDir, wishes });
  process.stdout.write(values['json'] === true ? `${JSON.stringify(made)}\n` : text(made));
  return 0;
}

/** @throws UsageError for an amount that is none, or for a wish to an issuer without accounts. */
function wishesOf(values: OptionValues): Wishes {
  const amount = (option: string): string | undefined => {
    const text = textOption(values, option);
    if (text === undefined || /^[0-9]{1,12}$/.test(text)) return text;
    throw new UsageError(`--${option} takes an amount in minor units`);
  };
  const [balanceMinor, creditLineMinor] = [amount('balance'), amount('credit-line')];
  const given = [...limitsOf(values)].filter((entry) => entry[1] !== null);
  const limits = Object.fromEntries(
    given.map(([name, text]) => [name, name === 'dayCount' ? Number(text) : text]),
  );
  const account = {
    ...(balanceMinor === undefined ? {} : { balanceMinor }),
    ...(creditLineMinor === undefined ? {} : { creditLineMinor }),
    ...(given.length === 0 ? {} : { limits }),
  };
  const isPinDrawn = values['pin-mailer'] === true;
  const isAsked = isPinDrawn || Object.keys(account).length > 0;
  if (isAsked && values['own-issuer'] === true) {
    throw new UsageError('an own issuer keeps no accounts and writes no letters');
  }
  return { account, isPinDrawn };
}

function readModel(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (fault) {
    if (!(fault instanceof Error)) throw fault;
    throw new UsageError(`cannot read the card model: ${fault.message}`);
  }
}

/** A debit card of a random account, valid from this month. */
function plainModel(): string {
  const now = new Date(systemClock.nowMs());
  const month = String(now.getUTCMonth() + 1).padStart(2, '0');
  const yymm = (years: number): string => `${(now.getUTCFullYear() + years) % 100}${month}`;
  const random = BigInt(`0x${toHex(systemRandom.bytes(8))}`);
  const account = String(random % 10n ** BigInt(ACCOUNT_DIGITS)).padStart(ACCOUNT_DIGITS, '9');
  return JSON.stringify({
    pan: labPan(account),
    validity: { from: yymm(0), to: yymm(YEARS_VALID) },
    applications: [{ product: 'debit' }],
  });
}

/** At the running lab's issuer: image, account and PIN verification value, as its own cards. */
async function makeAtLab(wanted: {
  readonly name: string;
  readonly modelText: string;
  readonly dataDir: string;
  readonly wishes: Wishes;
}): Promise<Made> {
  const { name, dataDir, wishes } = wanted;
  // A person's mistake is told before anything is connected.
  const { pan } = parseCardModel(wanted.modelText);
  const { ports } = readSystemConfig(dataDir);
  const tokens = readHsmTokens(dataDir, 'issuer');
  const open: (Hsm & { readonly close: () => Promise<void> })[] = [];
  const connect = async (caller: 'bureau' | 'ceremony'): Promise<Hsm> => {
    const hsm = await connectHsm({
      ...{ port: ports.hsmIssuer, caller, tokenHex: tokens[caller] ?? '' },
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    }).catch((fault: unknown) => {
      const message =
        "the lab's issuer does not run; start it with tapnpay up, or add --own-issuer " +
        'for a card that is not to pay';
      throw new TapError('ERR_LAB_DOWN', message, {}, fault);
    });
    open.push(hsm);
    return hsm;
  };
  try {
    const bureau = await connect('bureau');
    const ceremony = await connect('ceremony');
    const pin = wishes.isPinDrawn ? await drawPin(dataDir, bureau, pan) : null;
    const modelText = pin === null ? wanted.modelText : withPin(wanted.modelText, pin);
    // The letter first: a card whose PIN nobody knows would be of no use.
    const pinMailer = pin === null ? null : writePinMailer(dataDir, { name, pan }, pin);
    const { account } = wishes;
    const model = await personaliseModel({
      ...{ name, modelText, dataDir, bureau, ceremony, account },
    }).catch((fault: unknown) => {
      if (pinMailer !== null) removePinMailer(pinMailer);
      throw fault;
    });
    const caKeys = join(dataDir, 'ca-public-keys.json');
    return madeOf(name, model, { issuer: 'lab', caKeys, pinMailer });
  } finally {
    await Promise.all(open.map((hsm) => hsm.close()));
  }
}

/** With an issuer of its own; the CA's keys stand beside the card. */
function makeOwn(
  wanted: { readonly name: string; readonly modelText: string; readonly directory: string },
  cards: VirtualCards,
): Made {
  const { name, modelText, directory } = wanted;
  const ports = { ciphers: nodeCiphers, random: systemRandom };
  const { model, image, caKeys } = personaliseCard(ports, modelText);
  cards.add(name, JSON.stringify(image));
  const path = join(directory, `${name}.ca-keys.json`);
  writeFileSync(path, `${JSON.stringify(caKeys, null, 2)}\n`, { mode: 0o600 });
  return madeOf(name, model, { issuer: 'own', caKeys: path, pinMailer: null });
}

function madeOf(
  name: string,
  model: CardModel,
  made: Pick<Made, 'issuer' | 'caKeys' | 'pinMailer'>,
): Made {
  return {
    name,
    ...made,
    panMasked: maskPan(model.pan),
    applications: model.applications.map(({ product, aid }) => ({ product, aid })),
    troubles: model.troubles,
  };
}

function text(made: Made): string {
  const pays =
    made.issuer === 'lab'
      ? 'it pays in this system 可在本系统支付'
      : 'no issuer knows it; it can be read and tried 无发卡行，仅供读取与测试';
  const applications = made.applications.map(({ product, aid }) => `${product} ${aid}`);
  const lines = [
    `${made.name}  ${made.panMasked}  ${pays}`,
    ...applications.map((application) => `  ${application}`),
    ...(made.troubles.length === 0 ? [] : [`  troubles 异常: ${made.troubles.join(', ')}`]),
    `  CA keys CA公钥: ${made.caKeys}`,
    ...(made.pinMailer === null ? [] : [`  PIN mailer 密码信封: ${made.pinMailer}`]),
  ];
  return `${lines.join('\n')}\n`;
}
