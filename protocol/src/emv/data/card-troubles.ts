/** Names of what can be wrong with a lab card, each made by one small change of a sound card. */

/** Trouble and what a terminal meets. */
const TROUBLES = {
  expired: 'the application expiration date is past',
  'not-yet-effective': 'the application effective date is to come',
  'application-blocked': 'SELECT answers 6283, cryptograms are AAC',
  'card-blocked': 'every SELECT answers 6A81',
  'pin-blocked': 'the PIN try counter is 0',
  'no-pse': 'SELECT of 1PAY.SYS.DDF01 answers 6A82',
  'no-ppse': 'SELECT of 2PAY.SYS.DDF01 answers 6A82',
  'refused-pse': 'SELECT of 1PAY.SYS.DDF01 answers 6984',
  'fci-without-name': 'the FCI has no 84',
  'fci-unknown-tags': 'the FCI holds tags that no dictionary has',
  'fci-long-lengths': 'lengths in the FCI take more bytes than they need',
  'fci-padding': 'the FCI has 00 and FF between its objects',
  'afl-several-signed': 'two signed records',
  'afl-high-sfi': 'the signed record is in file 14, whose template is signed too',
  'afl-single-record': 'one record holds all, without data authentication',
  'afl-zero-signed': 'no record is signed, only the AIP',
  'afl-non-contiguous': 'records 1, 3 and 5 of one file in three entries',
  'afl-empty': 'the answer to GET PROCESSING OPTIONS has no AFL',
  'afl-malformed': 'an AFL entry names file 0',
  'bad-issuer-certificate': 'a byte of the issuer certificate is wrong',
  'bad-icc-certificate': 'a byte of the ICC certificate is wrong',
  'wrong-sdad': 'the card signs with a key that is not the certified one',
  'wrong-ssad': 'a byte of the signed static data is wrong',
  'no-data-authentication': 'the AIP offers none and there are no certificates',
  'low-balance': 'the electronic cash balance is 0.01',
  'atc-at-end': 'one transaction is left, then 6985',
  'declines-offline': 'the first GENERATE AC answers AAC',
  'needs-script': 'limits of old: every payment goes online until a script raises them',
  'missing-cdol1': 'no record holds CDOL1',
  'missing-pan': 'no record holds the PAN',
  'duplicate-tag': 'two records hold 5F24',
  'track2-mismatch': 'track 2 holds another PAN',
  'contactless-refusal': 'the contactless GET PROCESSING OPTIONS answers 6984',
  't0-protocol': 'answers come by 61xx and 6Cxx',
} as const;

/** Name of a trouble, as a card model lists it. */
export type CardTrouble = keyof typeof TROUBLES;

/** All names in the order of the table. */
export const CARD_TROUBLES: readonly CardTrouble[] = Object.keys(TROUBLES).filter(isCardTrouble);

/** Whether a text names a trouble. */
export function isCardTrouble(name: string): name is CardTrouble {
  return Object.hasOwn(TROUBLES, name);
}

/** What a terminal meets. */
export function describeCardTrouble(name: CardTrouble): string {
  return TROUBLES[name];
}
