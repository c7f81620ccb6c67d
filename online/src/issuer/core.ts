/**
 * The issuer without sockets, files or timers of its own: it answers requests, advices and
 * reversals over ports, so that a seeded simulator can run it beside the other parties. All that a
 * message does, its answer included, is one durable step; no answer leaves before it.
 */
import { errorBody, fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  buildReply,
  bytesField,
  DE_11_STAN,
  DE_15_SETTLEMENT_DATE,
  DE_38_APPROVAL_CODE,
  DE_54_ADDITIONAL_AMOUNTS,
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
import { isLoadKind } from './ecash/load-types.ts';
import { IssuerError } from './errors.ts';
import { type ReadRequest, readRequest } from './kinds.ts';
import type { RequestRecord } from './model.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import type { RequestBase } from './request.ts';
import { Turns } from './turns.ts';

/** Times a decision is made anew because another process changed what it stood on. */
const DECISIONS_MAX = 64;
/** The month in a settlement date YYYYMMDD. */
const MONTH_AT = 4;

/** How a message ends before anything is decided. */
type Early = { readonly responseCode: string; readonly reason: string };

/** The issuer's answers. */
export class IssuerCore {
  readonly #ports: IssuerPorts;
  readonly #turns = new Turns();

  constructor(ports: IssuerPorts) {
    this.#ports = ports;
  }

  /**
   * The answer to a message, or null when none may be sent: its effect is not certain, and the
   * acquirer's reversal or repeat will end it.
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
    const read = this.#read(message);
    if ('responseCode' in read) return this.#refuseEarly(message, keys, read);
    const { request } = read;
    const record = await this.#turns.take(request.panLookup, () => this.#decide(read, keys));
    this.#logHop(request, record);
    if (record.fingerprint !== request.fingerprint && record.state !== 'refusedAhead') {
      return this.#refuseEarly(message, keys, { responseCode: '94', reason: 'traceUsed' });
    }
    // A card may be told of a load once more, but not after its money went back.
    if (record.state === 'reversed' && isLoadKind(record.kind)) {
      return this.#refuseEarly(message, keys, { responseCode: '12', reason: 'reversedBefore' });
    }
    if (request.kind !== 'reversal' && this.#ports.isReplyDropped()) {
      this.#ports.log({ event: 'labReplyDropped', stan: request.stan });
      return null;
    }
    return this.#sign(answerOf(message, record), keys);
  }

  #read(message: Iso8583Message): ReadRequest | Early {
    const { keyedDigest: digest, clock } = this.#ports;
    try {
      const read = readRequest(message, { digest, nowMs: clock.nowMs() });
      return read ?? { responseCode: '12', reason: 'messageType' };
    } catch (thrown) {
      if (!(thrown instanceof TapError)) throw thrown;
      return { responseCode: '30', reason: 'format' };
    }
  }

  /** A repeat gets the stored answer; a new one is decided and written, or decided again. */
  async #decide(read: ReadRequest, keys: LineKeys): Promise<RequestRecord> {
    const { store } = this.#ports;
    for (let tries = 0; tries < DECISIONS_MAX; tries++) {
      // The commit tells a repeat by itself: the usual, new request is not looked for first.
      const change = await read.decide(keys, this.#ports);
      const result = await store.commit(change);
      if (result === 'committed') return change.record;
      const known = result === 'duplicate' ? await store.findRequest(change.record.traceKey) : null;
      if (known) return known;
    }
    throw new IssuerError('ERR_ISSUER_BUSY', 'the card changes faster than it can be decided on');
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

  #logHop(request: RequestBase, record: RequestRecord): void {
    this.#ports.log({
      event: 'hop',
      n: Hop.decide,
      name: 'decide',
      atMs: this.#ports.clock.nowMs(),
      retrievalReference: request.retrievalReference,
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
  const settlementDate = record.settlementDate.slice(MONTH_AT);
  if (record.kind === 'reversal') {
    return buildReply(message, record.responseCode, [[DE_15_SETTLEMENT_DATE, settlementDate]]);
  }
  const { arqcVerified, ledgerEntryId, reason, iccData } = record;
  return buildReply(message, record.responseCode, [
    [DE_15_SETTLEMENT_DATE, settlementDate],
    [DE_38_APPROVAL_CODE, record.approvalCode ?? undefined],
    [DE_54_ADDITIONAL_AMOUNTS, record.additionalAmounts ?? undefined],
    [DE_55_ICC_DATA, iccData === null ? undefined : fromHex(iccData)],
    [DE_57_ADDITIONAL_TRANSACTION_DATA, encodeIssuerFacts({ arqcVerified, ledgerEntryId, reason })],
  ]);
}
