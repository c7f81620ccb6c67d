/** Whole sessions with our own card, as logs; and what the explainer may be told of them. */

import { nodeCiphers } from '../../node/index.ts';
import { fromHex, toHex } from '../bytes/index.ts';
import {
  CardSession,
  cardOf,
  commandOf,
  IMAGE,
  KEYS,
  send,
  TERMINAL,
  takeApart,
} from '../emv/icc/icc.test-kit.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_IMK_MAC,
  SM_CA_PUBLIC_KEY,
  smRequest,
} from '../emv/icc/sample.test-card.ts';

/** Command and answer in hex, answers with their status words. */
export type Recorded = { readonly command: string; readonly response: string };

/** The CA key of the sample card and the issuer's master keys. */
export const SESSION_KEYS: Readonly<Record<string, string>> = {
  capk_modulus: toHex(KEYS.ca.modulus),
  capk_exponent: toHex(KEYS.ca.publicExponent),
  imk_ac: toHex(SAMPLE_IMK_AC),
  imk_mac: toHex(SAMPLE_IMK_MAC),
  sm_ca_key: toHex(SM_CA_PUBLIC_KEY),
};

/** SELECT to the second cryptogram and a script, approved online; with DDA or CDA, RSA or SM. */
export function contactSession(
  authentication: 'DDA' | 'CDA',
  algorithms: 'RSA' | 'SM' = 'RSA',
): readonly Recorded[] {
  const isCda = authentication === 'CDA';
  const dataAuthentication = ['DDA', 'CDA'] as const;
  const request =
    algorithms === 'SM'
      ? smRequest(nodeCiphers, { isOnly: true, dataAuthentication })
      : { dataAuthentication };
  const session = new CardSession({ request });
  const recorded: Recorded[] = [];
  const record = (command: string): string => {
    const { data, sw } = session.send(command);
    recorded.push({ command, response: data + sw });
    return data;
  };
  record(commandOf('00A40400', session.application.aid, '00'));
  const options = record(session.gpo());
  const afl = options.startsWith('80')
    ? options.slice(8)
    : options.slice(options.indexOf('94') + 4);
  for (const [sfi = 0, first = 0, last = 0] of entriesOf(afl)) {
    for (let number = first; number <= last; number++) {
      record(toHex(Uint8Array.of(0x00, 0xb2, number, sfi | 4, 0x00)));
    }
  }
  if (!isCda) {
    record(commandOf('00880000', session.dol(session.object('9F49'), TERMINAL), '00'));
  }
  const cdol1 = session.dol(session.object('8C'), TERMINAL);
  const first = record(commandOf(isCda ? '80AE9000' : '80AE8000', cdol1, '00'));
  session.arqc = isCda
    ? fromHex(session.issuerCryptogram(takeApart(fromHex(first))))
    : fromHex(first).slice(5, 13);
  record(commandOf('00820000', session.arpc('00')));
  const cdol2 = session.dol(session.object('8D'), TERMINAL);
  record(commandOf(isCda ? '80AE5000' : '80AE4000', cdol2, '00'));
  record(session.scriptCommand('04DA9F58', '05'));
  return recorded;
}

function entriesOf(afl: string): readonly Uint8Array[] {
  return (afl.match(/.{8}/g) ?? []).map((entry) => fromHex(entry));
}

/** PPSE to the last record of a tap that asks for an offline approval. */
export function tapSession(): readonly Recorded[] {
  const card = cardOf(IMAGE, 'contactless');
  const values = '37800080000000001234000000000000015600000000000156260701007863AFC6';
  const commands = [
    '00A404000E325041592E5359532E444446303100',
    '00A4040008A00000033301010100',
    `80A80000238321${values}00`,
  ];
  const recorded = commands.map((command) => {
    const { data, sw } = send(card, command);
    return { command, response: data + sw };
  });
  const gpo = recorded.at(-1)?.response ?? '';
  const at = gpo.indexOf('9410') >= 0 ? gpo.indexOf('9410') + 4 : gpo.indexOf('940') + 4;
  const length = Number.parseInt(gpo.slice(at - 2, at), 16);
  for (const [sfi = 0, first = 0, last = 0] of entriesOf(gpo.slice(at, at + 2 * length))) {
    for (let number = first; number <= last; number++) {
      const command = toHex(Uint8Array.of(0x00, 0xb2, number, sfi | 4, 0x00));
      const { data, sw } = send(card, command);
      recorded.push({ command, response: data + sw });
    }
  }
  return recorded;
}

/** The log as a tool would print it. */
export function logOf(recorded: readonly Recorded[]): string {
  return recorded.map(({ command, response }) => `=> ${command}\n<= ${response}`).join('\n');
}
