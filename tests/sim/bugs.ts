/**
 * The planted bugs: each breaks the parties by decorators over their stores or lines, and each must
 * be found by the checks. They show that a world without findings means something.
 */
import { buildReply } from '@tapnpay/protocol/iso8583';
import { withMac } from '../../online/src/switch/messages.ts';
import type { Transaction } from '../../online/src/switch/model.ts';
import type { SwitchStore } from '../../online/src/switch/store.ts';
import { type Bug, decorate, NO_BUG } from './bug.ts';
import * as gateway from './bugs-gateway.ts';
import * as issuer from './bugs-issuer.ts';

/** The planted bugs by name; `none` is the system as it is. */
export const BUGS: Readonly<Record<string, () => Bug>> = {
  none: () => NO_BUG,
  'no-idempotency': issuer.noIdempotency,
  'forgets-at-key-change': issuer.forgetsAtKeyChange,
  'replay-accepted': issuer.replayAccepted,
  'reversal-not-done': issuer.reversalNotDone,
  'hold-not-released': issuer.holdNotReleased,
  'hold-released-twice': issuer.holdReleasedTwice,
  'dropped-reversal': droppedReversal,
  'advice-lost-at-restart': adviceLostAtRestart,
  'booked-twice': bookedTwice,
  'void-of-settled-day': voidOfSettledDay,
  'late-approval-wins': gateway.lateApprovalWins,
  'unverified-tap': gateway.unverifiedTap,
  'unknown-is-declined': gateway.unknownIsDeclined,
  'order-per-retry': gateway.orderPerRetry,
  'body-not-compared': gateway.bodyNotCompared,
  'paid-order-open': gateway.paidOrderOpen,
  'refund-per-retry': gateway.refundPerRetry,
  'refund-without-lock': gateway.refundWithoutLock,
  'refund-doubled-on-retry': gateway.refundDoubledOnRetry,
  'refund-not-booked': gateway.refundNotBooked,
  'ledger-leg-missing': gateway.ledgerLegMissing,
  'local-day': gateway.localDay,
  'notification-renumbered': gateway.notificationRenumbered,
  'notification-stale': gateway.staleNotification,
  'notification-given-up': gateway.notificationGivenUp,
  'card-number-logged': gateway.cardNumberLogged,
  'audit-forked': gateway.auditForked,
};

/** Names of the bugs that must be found. */
export const PLANTED_BUGS: readonly string[] = Object.keys(BUGS).filter((name) => name !== 'none');

/** The switch takes its own reversals for acknowledged without sending them. */
function droppedReversal(): Bug {
  return {
    ...NO_BUG,
    switchLines: (lines, hsm) => ({
      keys: (institutionId) => lines.keys(institutionId),
      previousKeys: (institutionId) => lines.previousKeys(institutionId),
      async send(institutionId, message, timeoutMs) {
        const keys = lines.keys(institutionId);
        if (!message.mti.startsWith('042') || !keys) {
          return lines.send(institutionId, message, timeoutMs);
        }
        return withMac(hsm, keys.mac, buildReply(message, '00'));
      },
    }),
  };
}

/** What the switch owed its members when it died is forgotten. */
function adviceLostAtRestart(): Bug {
  const switchStore = (store: SwitchStore): SwitchStore =>
    decorate<SwitchStore>(store, {
      async releaseAdvices(nowMs) {
        const open = (await store.advices()).filter(({ state }) => state === 'open');
        for (const { adviceId } of open) await store.settleAdvice(adviceId, '00', nowMs);
      },
    });
  return { ...NO_BUG, switchStore };
}

/** A transaction of a closed day is booked in the next one as well. */
function bookedTwice(): Bug {
  const switchStore = (store: SwitchStore): SwitchStore =>
    decorate<SwitchStore>(store, {
      async listBookings(query) {
        const days = await store.days(2);
        const own = await store.listBookings(query);
        const [newest, before] = days.map(({ settlementDate }) => settlementDate);
        if (query.settlementDate !== newest || before === undefined) return own;
        return [...own, ...(await store.listBookings({ ...query, settlementDate: before }))];
      },
    });
  return { ...NO_BUG, switchStore };
}

/** A void is taken after the cut-off of what it undoes, by everybody. */
function voidOfSettledDay(): Bug {
  let newest = '';
  const dated = (row: Transaction | null): Transaction | null =>
    row && { ...row, settlementDate: newest > row.settlementDate ? newest : row.settlementDate };
  const atNewest = issuer.datedNewest();
  return {
    ...NO_BUG,
    gatewayStore: gateway.planVoidLate(),
    switchStore: (store) =>
      decorate<SwitchStore>(store, {
        turnDay(turn) {
          newest = turn.settlementDate;
          return store.turnDay(turn);
        },
        find: async (key) => dated(await store.find(key)),
      }),
    issuerStore: (store) =>
      decorate(store, {
        findRequest: async (traceKey) => atNewest(await store.findRequest(traceKey)),
        commit(wanted) {
          atNewest(wanted.record);
          return store.commit(wanted);
        },
      }),
  };
}
