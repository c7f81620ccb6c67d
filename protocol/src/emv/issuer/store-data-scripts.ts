/** STORE DATA commands of a prepared card, and the card that they make. @see EMV CPS 1.1 §4.3 */
import { asciiToBytes, fromHex } from '../../bytes/index.ts';
import { tdesEncrypt } from '../../crypto/index.ts';
import type { CommandApdu } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { EmvIssuerError } from './errors.ts';
import type { PreparedCard } from './prepared-card.ts';

/** Cipher block of the transport key. */
const DES_BLOCK_BYTES = 8;

/** One target of STORE DATA: the name to select and the commands that follow. */
export type StoreDataScript = {
  readonly target: data.StoreDataTarget;
  readonly name: Uint8Array;
  readonly commands: readonly CommandApdu[];
};

/**
 * The STORE DATA commands of a card, directories last. Secret groupings go enciphered under the
 * card's transport key, 3DES-ECB without padding. @see EMV CPS 1.1 §4.3
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION` for a secret that is no whole number of blocks;
 * CryptoError `ERR_CRYPTO_KEY_LENGTH`; EmvDataError `ERR_DGI_ID`, `ERR_DGI_LENGTH`.
 */
export function storeDataScripts(
  prepared: PreparedCard,
  transportKey: Uint8Array,
): readonly StoreDataScript[] {
  return targetsOf(prepared).map(({ target, name, dgis }) => {
    const all = [...dgis].map(([id, value]) => ({ id, value }));
    const clear = all.filter(({ id }) => !data.isSecretDgi(id));
    const secret = all
      .filter(({ id }) => data.isSecretDgi(id))
      .map(({ id, value }) => ({ id, value: enciphered(transportKey, id, value) }));
    const groups = [
      { dgis: secret, isEnciphered: true },
      { dgis: clear, isEnciphered: false },
    ];
    return { target, name, commands: data.storeDataCommands(groups) };
  });
}

function enciphered(transportKey: Uint8Array, id: string, value: Uint8Array): Uint8Array {
  if (value.length % DES_BLOCK_BYTES === 0) return tdesEncrypt(transportKey, value);
  const message = `grouping ${id} has ${value.length} bytes and cannot be enciphered`;
  throw new EmvIssuerError('ERR_EMV_PERSONALISATION', message, { field: id });
}

function targetsOf(prepared: PreparedCard): readonly {
  readonly target: data.StoreDataTarget;
  readonly name: Uint8Array;
  readonly dgis: ReadonlyMap<string, Uint8Array>;
}[] {
  const { applications, pse, ppse } = prepared;
  return [
    ...applications.map(({ aid, dgis }) => ({
      target: { kind: 'application', aid } as const,
      name: fromHex(aid),
      dgis,
    })),
    ...(pse === null
      ? []
      : [{ target: { kind: 'pse' } as const, name: asciiToBytes(data.PSE_NAME), dgis: pse }]),
    ...(ppse === null
      ? []
      : [{ target: { kind: 'ppse' } as const, name: asciiToBytes(data.PPSE_NAME), dgis: ppse }]),
  ];
}

/** The card as it comes to the bureau: applications installed, nothing stored. */
export function blankCard(prepared: PreparedCard, transportKey: Uint8Array): data.IccImage {
  return data.blankIccImage({
    aids: prepared.applications.map(({ aid }) => aid),
    transportKey,
    atr: prepared.atr,
    ats: prepared.ats,
    hasPse: prepared.pse !== null,
    hasPpse: prepared.ppse !== null,
    lab: prepared.lab,
  });
}

/**
 * The card after its STORE DATA commands, without sending them: what `storeDataScripts` leads a
 * card to, and then what has happened to it since.
 */
export function personalisedImage(prepared: PreparedCard): data.IccImage {
  const blank = blankCard(prepared, new Uint8Array(0));
  const stored = targetsOf(prepared).reduce((image, { target, dgis }) => {
    const written = [...dgis].reduce(
      (now, [id, value]) => data.withDgi(now, target, { id, value }),
      image,
    );
    return data.withLastStoreData(written, target);
  }, blank);
  return prepared.aged(stored);
}
