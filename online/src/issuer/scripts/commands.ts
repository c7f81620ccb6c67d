/** Issuer scripts as bytes: templates 71 and 72 with one command each, its MAC made by the HSM. */
import { concatBytes, fromHex, numericToBcd, toHex } from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import type { CardId, CardKeyAlgorithm, Hsm } from '@tapnpay/protocol/wire';
import type { IssuerKeys } from '../ports.ts';
import type { Script, ScriptKind } from './model.ts';

/** CLA INS of each command, and the template that it travels in. @see PBOC3 P5 (script commands) */
const COMMANDS: Readonly<
  Record<
    ScriptKind,
    { readonly head: string; readonly p1p2: string | null; readonly template: Template }
  >
> = {
  // After the final cryptogram, so that the payment of the same contact ends as it was decided.
  load: { head: '04DA', p1p2: '9F79', template: '72' },
  blockApplication: { head: '841E', p1p2: '0000', template: '72' },
  blockCard: { head: '8416', p1p2: '0000', template: '72' },
  unblockPin: { head: '8424', p1p2: '0000', template: '72' },
  changePin: { head: '8424', p1p2: '0002', template: '72' },
  putData: { head: '04DA', p1p2: null, template: '72' },
  updateRecord: { head: '04DC', p1p2: null, template: '72' },
  // Before it: the final cryptogram of a blocked application would be an AAC.
  unblockApplication: { head: '8418', p1p2: '0000', template: '71' },
};
type Template = '71' | '72';

const TAG_86_ISSUER_SCRIPT_COMMAND = '86';
const TAG_9F18_ISSUER_SCRIPT_IDENTIFIER = '9F18';
const MAC_BYTES = 4;
/** Bytes of an n12 amount. */
const AMOUNT_BYTES = 6;

/** The contact that a script is made for: its keys, counter and cryptogram. */
export type ScriptContact = {
  readonly hsm: Hsm;
  readonly keys: IssuerKeys;
  readonly algorithm: CardKeyAlgorithm;
  readonly card: CardId;
  /** 9F36 and 9F26, hex. */
  readonly atc: string;
  readonly arqc: string;
};

/** Data of a load's command: the new total, n12. */
export function loadData(totalMinor: bigint): string {
  return toHex(numericToBcd(String(totalMinor), AMOUNT_BYTES));
}

/**
 * The template of one script. `data` replaces the script's own: a load's new total.
 * @throws TapError of the HSM.
 */
export async function scriptTemplate(
  script: Pick<Script, 'kind' | 'target' | 'data' | 'newPin'>,
  identifier: string,
  contact: ScriptContact,
): Promise<Uint8Array> {
  const { head, p1p2, template } = COMMANDS[script.kind];
  const data = script.newPin ? await pinData(script.newPin, contact) : script.data;
  const lengthBytes = data.length / 2 + MAC_BYTES;
  const header = `${head}${p1p2 ?? script.target}${lengthBytes.toString(16).padStart(2, '0')}`;
  const { hsm, keys, algorithm, card, atc, arqc } = contact;
  const { mac } = await hsm.call({
    command: 'generateScriptMac',
    algorithm,
    imkMac: algorithm === 'T' ? keys.imkMac : keys.imkMacSm4,
    card,
    atc,
    arqc,
    header: header.toUpperCase(),
    data,
  });
  const command = fromHex(header.toUpperCase() + data + mac);
  return encodeTlv(
    template,
    concatBytes(
      encodeTlv(TAG_9F18_ISSUER_SCRIPT_IDENTIFIER, fromHex(identifier)),
      encodeTlv(TAG_86_ISSUER_SCRIPT_COMMAND, command),
    ),
  );
}

async function pinData(
  { pinBlock, pinKey }: NonNullable<Script['newPin']>,
  { hsm, keys, algorithm, card, atc }: ScriptContact,
): Promise<string> {
  const imkEnc = algorithm === 'T' ? keys.imkEnc : keys.imkEncSm4;
  const request = { command: 'generatePinChange', algorithm, imkEnc, card, atc } as const;
  return (await hsm.call({ ...request, pinKey, pinBlock })).data;
}
