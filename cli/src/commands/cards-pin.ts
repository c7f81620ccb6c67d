/** The PIN of a new lab card: drawn by the HSM, and its letter for the cardholder. */
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PVKI } from '@tapnpay/online/hsm';
import { readPartyKeys } from '@tapnpay/online/runtime';
import { fromHex, maskPan, Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import { systemRandom } from '@tapnpay/protocol/node';
import { type Hsm, KeyUsage } from '@tapnpay/protocol/wire';

const PRINTER_KEY_BITS = 2048;
const KEY_BYTES = 16;
/** What the HSM writes in a letter; a laboratory's alone says LAB. */
const LETTER = /^LAB [0-9*]+ PIN ([0-9]{4,12})$/;

/**
 * A PIN that nobody chose. The HSM gives it to its printer alone, under a key that lives no longer
 * than this call; in a lab the printer and the bureau, which puts the PIN on the chip, are one.
 * @throws TapError `ERR_PIN_LETTER`; HsmError when the HSM writes no letters.
 */
export async function drawPin(dataDir: string, bureau: Hsm, pan: string): Promise<Secret<string>> {
  return (await draw(dataDir, bureau, { pan })).pin;
}

/** A PIN for a card that has one: its block under a key that this call makes in the HSM. */
export async function drawPinChange(
  dataDir: string,
  hsm: { readonly bureau: Hsm; readonly ceremony: Hsm },
  pan: string,
): Promise<{
  readonly pin: Secret<string>;
  readonly pinBlock: string;
  readonly pinKey: string;
  readonly pvv: string;
}> {
  const components = [toHex(systemRandom.bytes(KEY_BYTES)), toHex(systemRandom.bytes(KEY_BYTES))];
  const usage = KeyUsage.pinEncryption;
  const asked = { command: 'formKey', usage, algorithm: 'T', components } as const;
  const { keyBlock: pinKey } = await hsm.ceremony.call(asked);
  const { pin, pinBlock, pvv } = await draw(dataDir, hsm.bureau, { pan, pinKey });
  if (pinBlock === null) throw new TapError('ERR_PIN_LETTER', 'the HSM made no block');
  return { pin, pinBlock, pinKey, pvv };
}

async function draw(
  dataDir: string,
  bureau: Hsm,
  wanted: { readonly pan: string; readonly pinKey?: string },
): Promise<{
  readonly pin: Secret<string>;
  readonly pinBlock: string | null;
  readonly pvv: string;
}> {
  const printer = generateKeyPairSync('rsa', { modulusLength: PRINTER_KEY_BITS });
  const spki = printer.publicKey.export({ type: 'spki', format: 'der' });
  const { letter, pinBlock, pvv } = await bureau.call({
    command: 'generatePin',
    pvk: readPartyKeys(dataDir, 'issuer').keys.pvk.keyBlock,
    ...wanted,
    pvki: PVKI,
    printerKeySpki: toHex(new Uint8Array(spki)),
  });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = { key: printer.privateKey, padding, oaepHash: 'sha256' };
  const text = letter === null ? '' : privateDecrypt(key, fromHex(letter)).toString('latin1');
  const pin = LETTER.exec(text)?.[1];
  if (pin === undefined) throw new TapError('ERR_PIN_LETTER', 'the HSM wrote no letter');
  return { pin: new Secret(pin, '[PIN]'), pinBlock, pvv };
}

/** Writes the cardholder's letter, readable by its owner alone; returns its path. */
export function writePinMailer(
  dataDir: string,
  card: { readonly name: string; readonly pan: string },
  pin: Secret<string>,
): string {
  const folder = join(dataDir, 'pin-mailers');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${card.name}.txt`);
  const lines = [
    'LAB: a test card of a laboratory, no bank issued it. 实验用测试卡，并非银行发行。',
    `card 卡片 ${card.name} ${maskPan(card.pan)}`,
    `PIN 密码 ${pin.expose()}`,
    'Read it, then delete this file. 阅后请删除本文件。',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
  return path;
}

/** For a card that could not be made. */
export function removePinMailer(path: string): void {
  rmSync(path, { force: true });
}

/** The model with this PIN for every application. @throws TapError `ERR_CARD_MODEL`. */
export function withPin(modelText: string, pin: Secret<string>): string {
  const model = JSON.parse(modelText) as { readonly applications: readonly ModelApplication[] };
  if (model.applications.some((application) => application.pin?.value != null)) {
    throw new TapError('ERR_CARD_MODEL', 'the model names a PIN; leave it out for --pin-mailer');
  }
  const applications = model.applications.map((application) => {
    return { ...application, pin: { ...application.pin, value: pin.expose() } };
  });
  return JSON.stringify({ ...model, applications });
}

type ModelApplication = { readonly pin?: { readonly value?: unknown } | null };
