/** A card that a person asks for: its model, made by the lab's issuer, so that it can pay. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type CardModel, parseCardModel } from '@tapnpay/protocol/emv/data';
import type { Hsm } from '@tapnpay/protocol/wire';
import {
  type CardAccount,
  type CardSpec,
  LAB_CARD_DEFAULTS,
  personaliseCards,
  readCardRecords,
} from './cards.ts';
import { HsmError } from './errors.ts';

/**
 * Makes a card of the JSON text of a card model: image, issuer record and balance as lab cards have
 * them. The model's first PIN is the online PIN too; without one it is the lab's.
 * @throws EmvDataError `ERR_CARD_MODEL`; HsmError `ERR_HSM_CARDS` for a name or a PAN that is taken
 * or outside the lab, `ERR_HSM_PARAMETER` for what the HSM cannot make, as SM2 keys.
 */
export async function personaliseModel(options: {
  readonly dataDir: string;
  readonly bureau: Hsm;
  readonly ceremony: Hsm;
  readonly name: string;
  readonly modelText: string;
  /** A lab card's when left out; electronic cash is the model's. */
  readonly account?: CardAccount & { readonly balanceMinor?: string };
}): Promise<CardModel> {
  const { dataDir, bureau, ceremony, name, modelText, account = {} } = options;
  const model = parseCardModel(modelText);
  if (existsSync(join(dataDir, 'cards', `${name}.json`))) {
    throw new HsmError('ERR_HSM_CARDS', `there is a card ${name} already`);
  }
  if (readCardRecords(dataDir).some(({ pan }) => pan === model.pan)) {
    throw new HsmError('ERR_HSM_CARDS', 'the PAN is that of another card; write another');
  }
  const { balanceMinor = LAB_CARD_DEFAULTS.balanceMinor, ...more } = account;
  const purse = model.applications.find(({ electronicCash }) => electronicCash !== null);
  const electronicCashMinor = purse?.electronicCash?.balanceMinor ?? '0';
  const spec = {
    ...specOf(name, model, modelText),
    ...{ balanceMinor, account: { electronicCashMinor, ...more } },
  };
  await personaliseCards({ dataDir, bureau, ceremony, specs: [spec] });
  return model;
}

function specOf(name: string, model: CardModel, modelText: string): CardSpec {
  const {
    pan: _pan,
    panSequenceNumber: _psn,
    holder: _holder,
    validity: _validity,
    ...rest
  } = JSON.parse(modelText) as Record<string, unknown>;
  const { pan, panSequenceNumber, cardholderName, effectiveYymm, expiryYymm } = model;
  const pin = model.applications.map((application) => application.pin.value).find(Boolean);
  return {
    ...LAB_CARD_DEFAULTS,
    ...{ name, pan, panSequenceNumber, cardholderName, pin: pin ?? LAB_CARD_DEFAULTS.pin },
    validity: { effectiveYymm, expiryYymm },
    model: rest,
  };
}
