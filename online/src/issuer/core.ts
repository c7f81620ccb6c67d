/**
 * The issuer without sockets, files or timers of its own: it answers purchases and reversals over
 * ports, so that a seeded simulator can run it beside the other parties. All that a request does,
 * its answer included, is one durable step; no answer leaves before it.
 */
import {
  asciiToBytes,
  bytesToUint,
  concatBytes,
  errorBody,
  fromHex,
  TapError,
  toHex,
} from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import {
  buildReply,
  bytesField,
  DE_11_STAN,
  DE_37_RETRIEVAL_REFERENCE,
  DE_38_APPROVAL_CODE,
  DE_55_ICC_DATA,
  DE_57_ADDITIONAL_TRANSACTION_DATA,
  DE_128_MAC,
  encodeIssuerFacts,
  type Iso8583Message,
  macBlock,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { Hop } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { IssuerError } from './errors.ts';
import { type CardView, clearingAccountId, type RequestRecord } from './model.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import { arqcHex, atcHex, cardIdOf, type Decision, decidePurchase } from './purchase.ts';
import {
  isTapped,
  type PurchaseRequest,
  type ReversalRequest,
  readPurchase,
  readReversal,
} from './request.ts';
import { reversalChange } from './reversal.ts';
import type { IssuerChange } from './store.ts';
import { Turns } from './turns.ts';

const TAG_91_ISSUER_AUTHENTICATION_DATA = '91';
/** Times a decision is made anew because another process changed what it stood on. */
const DECISIONS_MAX = 8;

/** How a request ends before anything is decided. */
type Early = { readonly responseCode: string; readonly reason: string };

/** The issuer's answers. */
export class IssuerCore {
  readonly #ports: IssuerPorts;
  readonly #turns = new Turns();

  constructor(ports: IssuerPorts) {
    this.#ports = ports;
  }

  /**
   * The answer to a 0200, 0420 or 0421, or null when none may be sent: its effect is not certain,
   * and the acquirer's reversal will end it.
   */
  async handle(message: Iso8583Message, keys: LineKeys): Promise<Iso8583Message | null> {
    try {
      return await this.#answer(message, keys);
    } catch (thrown) {
      const { code, message: text } = errorBody(thrown);
      this.#ports.log({ event: 'requestFailed', mti: message.mti, code, text });
      return null;
    }
  }

  /** MAC, format, then the request itself; each card's requests one after another. */
  async #answer(message: Iso8583Message, keys: LineKeys): Promise<Iso8583Message | null> {
    if (!(await this.#isMacRight(message, keys))) {
      return this.#refuseEarly(message, keys, { responseCode: 'A0', reason: 'macWrong' });
    }
    const request = this.#read(message);
    if ('responseCode' in request) return this.#refuseEarly(message, keys, request);
    const record = await this.#turns.take(request.panLookup, () =>
      request.kind === 'purchase' ? this.#purchase(request, keys) : this.#reverse(request),
    );
    this.#logHop(message, request, record);
    if (record.fingerprint !== request.fingerprint && record.state !== 'refusedAhead') {
      return this.#refuseEarly(message, keys, { responseCode: '94', reason: 'traceUsed' });
    }
    if (request.kind === 'purchase' && this.#ports.isReplyDropped()) {
      this.#ports.log({ event: 'labReplyDropped', stan: request.stan });
      return null;
    }
    return this.#sign(answerOf(message, record), keys);
  }

  #read(message: Iso8583Message): PurchaseRequest | ReversalRequest | Early {
    const { keyedDigest } = this.#ports;
    try {
      if (message.mti === '0200') return readPurchase(message, keyedDigest);
      if (/^042[01]$/.test(message.mti)) return readReversal(message, keyedDigest);
      return { responseCode: '12', reason: 'messageType' };
    } catch (thrown) {
      if (!(thrown instanceof TapError)) throw thrown;
      return { responseCode: '30', reason: 'format' };
    }
  }

  /** A repeat gets the stored answer; a new one is decided and written, or decided again. */
  async #purchase(request: PurchaseRequest, keys: LineKeys): Promise<RequestRecord> {
    for (let tries = 0; tries < DECISIONS_MAX; tries++) {
      const known = await this.#ports.store.findRequest(request.traceKey);
      if (known) return known;
      const card = await this.#findCard(request);
      const facts = { arqcVerified: null, usedAtc: null, pinFailures: card?.pinFailures ?? 0 };
      const ports = this.#ports;
      const decision = await decidePurchase({ request, card, facts, lineKeys: keys, ports });
      const proof = await this.#authenticate(request, decision);
      const change = this.#purchaseChange(request, card, decision, proof);
      if ((await this.#ports.store.commit(change)) === 'committed') return change.record;
    }
    throw new IssuerError('ERR_ISSUER_BUSY', 'the card changes faster than it can be decided on');
  }

  async #findCard(request: PurchaseRequest): Promise<CardView | null> {
    const { store, refreshCards } = this.#ports;
    const found = await store.findCard(request);
    return found ?? ((await refreshCards()) ? store.findCard(request) : null);
  }

  /**
   * Tag 91, also of a decline: the card may then trust that it was its issuer who said no. A card
   * that was tapped is gone and hears nothing.
   */
  async #authenticate(request: PurchaseRequest, decision: Decision): Promise<string | null> {
    if (!decision.facts.arqcVerified || request.atc === null || isTapped(request)) return null;
    const arc = toHex(asciiToBytes(decision.refusal?.responseCode ?? '00'));
    try {
      const { arpc } = await this.#ports.hsm.call({
        command: 'generateArpc',
        imkAc: this.#ports.keys.imkAc,
        card: cardIdOf(request),
        atc: atcHex(request.atc),
        arqc: arqcHex(request),
        arc,
      });
      return arpc + arc;
    } catch (thrown) {
      // Without proof the card would refuse an approval; a decline stands without it.
      if (decision.refusal) return null;
      throw thrown;
    }
  }

  #purchaseChange(
    request: PurchaseRequest,
    card: CardView | null,
    decision: Decision,
    authenticationData: string | null,
  ): IssuerChange {
    const { refusal, facts } = decision;
    const { clock, random } = this.#ports;
    const isApproved = refusal === null && card !== null;
    const ledgerEntryId = isApproved ? uuidv7(clock, random) : null;
    const record: RequestRecord = {
      traceKey: request.traceKey,
      kind: 'purchase',
      fingerprint: request.fingerprint,
      panLookup: request.panLookup,
      cardId: card?.cardId ?? null,
      amountMinor: request.amountMinor,
      currency: request.currency,
      state: isApproved ? 'approved' : 'declined',
      responseCode: refusal?.responseCode ?? '00',
      approvalCode: isApproved ? this.#approvalCode() : null,
      reason: refusal?.reason ?? null,
      arqcVerified: facts.arqcVerified,
      ledgerEntryId,
      authenticationData,
      answeredAtMs: clock.nowMs(),
    };
    if (!card) return { record };
    const { cardId, version } = card;
    const { pinFailures, usedAtc } = facts;
    const cardChange = { cardId, version, pinFailures, usedAtc };
    if (ledgerEntryId === null) return { record, card: cardChange };
    const { amountMinor, currency, traceKey } = request;
    const customer = { accountId: card.accountId, currency, amountMinor: -amountMinor };
    const clearing = { accountId: clearingAccountId(currency), currency, amountMinor };
    return {
      record,
      card: cardChange,
      transaction: {
        transactionId: uuidv7(clock, random),
        kind: 'purchase',
        traceKey,
        atMs: clock.nowMs(),
        postings: [
          { entryId: ledgerEntryId, ...customer },
          { entryId: uuidv7(clock, random), ...clearing },
        ],
      },
    };
  }

  async #reverse(request: ReversalRequest): Promise<RequestRecord> {
    const { store } = this.#ports;
    for (let tries = 0; tries < DECISIONS_MAX; tries++) {
      const known = await store.findRequest(request.traceKey);
      if (known) return known;
      const original = await store.findRequest(request.originalTraceKey);
      const change = reversalChange(request, original, this.#ports);
      if ((await store.commit(change)) === 'committed') return change.record;
    }
    throw new IssuerError('ERR_ISSUER_BUSY', 'the original changes while it is reversed');
  }

  /** An answer that leaves no trace in the books. */
  #refuseEarly(message: Iso8583Message, keys: LineKeys, early: Early): Promise<Iso8583Message> {
    const { responseCode, reason } = early;
    const stan = textField(message, DE_11_STAN) ?? null;
    this.#ports.log({ event: 'requestRefused', mti: message.mti, stan, responseCode, reason });
    const facts = encodeIssuerFacts({ arqcVerified: null, ledgerEntryId: null, reason });
    const reply = buildReply(message, responseCode, [[DE_57_ADDITIONAL_TRANSACTION_DATA, facts]]);
    return this.#sign(reply, keys);
  }

  async #isMacRight(message: Iso8583Message, keys: LineKeys): Promise<boolean> {
    const mac = bytesField(message, DE_128_MAC);
    if (!mac) return false;
    const { valid } = await this.#ports.hsm.call({
      command: 'verifyMac',
      key: keys.mac,
      data: toHex(macBlock(message)),
      mac: toHex(mac),
    });
    return valid;
  }

  async #sign(message: Iso8583Message, keys: LineKeys): Promise<Iso8583Message> {
    const data = toHex(macBlock(message));
    const { mac } = await this.#ports.hsm.call({ command: 'generateMac', key: keys.mac, data });
    return withFields(message, [[DE_128_MAC, fromHex(mac)]]);
  }

  /** Field 38: six digits that say nothing. */
  #approvalCode(): string {
    return String(bytesToUint(this.#ports.random.bytes(4)) % 1_000_000).padStart(6, '0');
  }

  #logHop(
    message: Iso8583Message,
    request: PurchaseRequest | ReversalRequest,
    record: RequestRecord,
  ): void {
    this.#ports.log({
      event: 'hop',
      n: Hop.decide,
      name: 'decide',
      atMs: this.#ports.clock.nowMs(),
      retrievalReference: textField(message, DE_37_RETRIEVAL_REFERENCE) ?? null,
      facts: {
        kind: request.kind,
        stan: request.stan,
        responseCode: record.responseCode,
        reason: record.reason,
        arqcVerified: record.arqcVerified,
        ledgerEntryId: record.ledgerEntryId,
        amountMinor: String(request.amountMinor),
        currency: request.currency,
      },
    });
  }
}

/** The answer that a record stands for, without its MAC: the same each time it is asked for. */
function answerOf(message: Iso8583Message, record: RequestRecord): Iso8583Message {
  if (record.kind === 'reversal') return buildReply(message, record.responseCode);
  const { arqcVerified, ledgerEntryId, reason, authenticationData } = record;
  const proof = authenticationData === null ? undefined : fromHex(authenticationData);
  return buildReply(message, record.responseCode, [
    [DE_38_APPROVAL_CODE, record.approvalCode ?? undefined],
    [DE_55_ICC_DATA, proof && concatBytes(encodeTlv(TAG_91_ISSUER_AUTHENTICATION_DATA, proof))],
    [DE_57_ADDITIONAL_TRANSACTION_DATA, encodeIssuerFacts({ arqcVerified, ledgerEntryId, reason })],
  ]);
}
