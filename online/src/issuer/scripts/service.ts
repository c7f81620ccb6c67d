/**
 * A card's contact as a chance to serve it: what it shows of scripts that were delivered before,
 * and what is still to be delivered. Decided on facts that a verified cryptogram covers.
 */
import { toHex } from '@tapnpay/protocol/bytes';
import {
  decodeEcBalanceData,
  decodeIad,
  EmvDataError,
  type IssuerApplicationData,
} from '@tapnpay/protocol/emv/data';
import { algorithmOf, atcHex, cardIdOf } from '../card-facts.ts';
import type { Side } from '../change.ts';
import {
  type CardView,
  differenceAccountId,
  electronicCashAccountId,
  type WorkItemKind,
} from '../model.ts';
import type { IssuerPorts } from '../ports.ts';
import { type CardRequest, isTapped } from '../request.ts';
import { type Contact, judgeDelivery, scriptCounter } from './evidence.ts';
import { type CardSettings, changed, type Script, type ScriptChange, settingsOf } from './model.ts';

const TAG_9F10_ISSUER_APPLICATION_DATA = '9F10';
/** In field 55 of a payment from the purse. @see PBOC3 P13 */
const TAG_9F74_EC_AUTHORISATION_CODE = '9F74';

/** What the card says of its purse. */
export type PurseWord =
  | { readonly kind: 'proved'; readonly balanceMinor: bigint }
  /** It has none, its message is malformed, or the MAC is not the card's. */
  | { readonly kind: 'none' | 'malformed' | 'macWrong' };

/** Something for a person, found at this contact. */
export type ServiceFinding = {
  readonly kind: WorkItemKind;
  readonly amountMinor: bigint;
  readonly note: string;
};

/** What a contact comes to for the card's scripts. */
export type CardService = {
  readonly purse: PurseWord;
  /** Of this contact; null for a tap. */
  readonly counter: number | null;
  /** What is known now of scripts that were open. */
  readonly changes: readonly ScriptChange[];
  /** Still to be done by the card, loads first, then oldest first. */
  readonly waiting: readonly Script[];
  /** What confirmed scripts change in the bank's books. */
  readonly settings: CardSettings | null;
  readonly sides: readonly Side[];
  readonly findings: readonly ServiceFinding[];
  /** A load may or may not be in the purse, so that its balance says nothing of another. */
  readonly isUndecided: boolean;
};

/** Looks at a contact whose cryptogram is verified and whose counter is fresh. */
export async function serveCard(
  request: CardRequest,
  card: CardView,
  ports: Pick<IssuerPorts, 'hsm' | 'keys' | 'clock' | 'store'>,
): Promise<CardService> {
  const open = card.hasScripts ? await ports.store.findOpenScripts(card.cardId) : [];
  const iad = iadOf(request);
  const purse = await readPurse(request, iad, ports);
  const cvr = iad === null || isTapped(request) ? null : iad.cvr;
  const contact: Contact = {
    atc: request.atc ?? 0,
    cvr,
    isPurse: request.card?.expose().has(TAG_9F74_EC_AUTHORISATION_CODE) ?? false,
    balanceMinor: purse.kind === 'proved' ? purse.balanceMinor : null,
  };
  const counter = cvr === null ? null : scriptCounter(cvr);
  const judged = open.map((script) => judge(script, contact, { card, nowMs: ports.clock.nowMs() }));
  return {
    purse,
    counter,
    changes: judged.flatMap(({ change }) => change),
    waiting: judged.flatMap(({ waiting }) => waiting),
    // Of scripts other than loads one at a time is under way.
    settings: judged.find(({ settings }) => settings !== null)?.settings ?? null,
    isUndecided: judged.some(({ isUndecided }) => isUndecided),
    sides: judged.flatMap(({ sides }) => sides),
    findings: judged.flatMap(({ findings }) => findings),
  };
}

type Judged = {
  readonly change: readonly ScriptChange[];
  readonly waiting: readonly Script[];
  readonly settings: CardSettings | null;
  readonly sides: readonly Side[];
  readonly findings: readonly ServiceFinding[];
  readonly isUndecided: boolean;
};
const NOTHING: Judged = {
  ...{ change: [], waiting: [], settings: null, sides: [], findings: [] },
  isUndecided: false,
};

function judge(
  script: Script,
  contact: Contact,
  at: { readonly card: CardView; readonly nowMs: number },
): Judged {
  const isToldAgain = script.state === 'delivered' && script.evidence === 'operator';
  if (script.state === 'queued' || isToldAgain) return { ...NOTHING, waiting: [script] };
  const finding = judgeDelivery(script, contact);
  const { card, nowMs } = at;
  const { amountMinor, kind } = script;
  switch (finding.result) {
    case 'executed': {
      const { evidence } = finding;
      const done = changed(script, { state: 'done', evidence }, nowMs);
      if (script.state !== 'reversed') {
        return { ...NOTHING, change: [done], settings: settingsOf(script) };
      }
      // Its acquirer said that the card was not told. The purse has the money: the record follows.
      const note = 'a load was reversed although the card has it';
      return {
        ...NOTHING,
        change: [done],
        sides: [
          [electronicCashAccountId(card.cardId), amountMinor],
          [differenceAccountId(card.currency), -amountMinor],
        ],
        findings: [{ kind: 'loadReversedWrongly', amountMinor, note }],
      };
    }
    case 'refused':
    case 'notExecuted': {
      if (script.state === 'reversed') {
        return { ...NOTHING, change: [changed(script, { state: 'closed' }, nowMs)] };
      }
      if (finding.result === 'refused' && kind !== 'load') {
        const failed = changed(script, { state: 'failed', evidence: 'counter' }, nowMs);
        const note = `the card refused ${kind}`;
        return {
          ...NOTHING,
          change: [failed],
          findings: [{ kind: 'scriptFailed', amountMinor: 0n, note }],
        };
      }
      return { ...NOTHING, waiting: [script] };
    }
    case 'undecided':
      return undecided(script, contact, nowMs);
  }
}

/**
 * A command other than a load is given again, for it does the same twice. A load waits: its balance
 * may yet show it; but what the card counted is lost with this contact, and a person must know.
 */
function undecided(script: Script, contact: Contact, nowMs: number): Judged {
  if (script.kind !== 'load') {
    return contact.cvr === null ? NOTHING : { ...NOTHING, waiting: [script] };
  }
  const { delivery, amountMinor } = script;
  const waits = { ...NOTHING, isUndecided: true };
  const isLater = delivery !== null && contact.atc > delivery.atc;
  if (!isLater || contact.cvr === null || delivery.counterBefore === null) return waits;
  const note = 'the card does not show whether it was loaded';
  return {
    ...waits,
    change: [changed(script, { delivery: { ...delivery, counterBefore: null } }, nowMs)],
    findings: [{ kind: 'loadUndecided', amountMinor, note }],
  };
}

function iadOf(request: CardRequest): IssuerApplicationData | null {
  const bytes = request.card?.expose().get(TAG_9F10_ISSUER_APPLICATION_DATA);
  if (!bytes) return null;
  try {
    return decodeIad(bytes);
  } catch (thrown) {
    if (thrown instanceof EmvDataError) return null;
    throw thrown;
  }
}

/** The balance in 9F10, believed for its MAC alone. @see PBOC3 P13 */
async function readPurse(
  request: CardRequest,
  iad: IssuerApplicationData | null,
  { hsm, keys }: Pick<IssuerPorts, 'hsm' | 'keys'>,
): Promise<PurseWord> {
  const values = request.card?.expose();
  const algorithm = values === undefined ? null : algorithmOf(values);
  if (iad === null || algorithm === null || request.atc === null) return { kind: 'malformed' };
  try {
    const data = decodeEcBalanceData(iad.discretionary);
    if (!data) return { kind: 'none' };
    const { valid } = await hsm.call({
      command: 'verifyEcBalance',
      algorithm,
      imkMac: algorithm === 'T' ? keys.imkMac : keys.imkMacSm4,
      card: cardIdOf(request),
      atc: atcHex(request.atc),
      balance: toHex(data.balance),
      mac: toHex(data.mac),
    });
    return valid ? { kind: 'proved', balanceMinor: data.balanceMinor } : { kind: 'macWrong' };
  } catch (thrown) {
    if (thrown instanceof EmvDataError) return { kind: 'malformed' };
    throw thrown;
  }
}
