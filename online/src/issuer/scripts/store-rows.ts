/** Rows of `card_scripts` and the scripts they stand for. */
import type {
  CardSettings,
  Script,
  ScriptChange,
  ScriptEvidence,
  ScriptKind,
  ScriptState,
} from './model.ts';

type Row = Readonly<Record<string, string | number | null>>;

/** A row; int8 columns arrive as bigint. */
export type ScriptRow = {
  readonly script_id: string;
  readonly card_id: string;
  readonly kind: ScriptKind;
  readonly target: string;
  readonly data: string;
  readonly pin_block: string | null;
  readonly pin_key: string | null;
  readonly pvv: string | null;
  readonly load_trace_key: string | null;
  readonly source_account_id: string | null;
  readonly amount_minor: bigint;
  readonly state: ScriptState;
  readonly delivered_trace_key: string | null;
  readonly identifier: string | null;
  readonly delivered_atc: number | null;
  readonly counter_before: number | null;
  readonly balance_before_minor: bigint | null;
  readonly deliveries: number;
  readonly evidence: ScriptEvidence | null;
  readonly created_at_ms: bigint;
  readonly changed_at_ms: bigint;
};

export function scriptOf(row: ScriptRow): Script {
  const { pin_block: pinBlock, pin_key: pinKey, pvv } = row;
  const { delivered_trace_key: traceKey, identifier, delivered_atc: atc } = row;
  return {
    scriptId: row.script_id,
    cardId: row.card_id,
    kind: row.kind,
    target: row.target,
    data: row.data,
    newPin: pinBlock !== null && pinKey !== null && pvv !== null ? { pinBlock, pinKey, pvv } : null,
    loadTraceKey: row.load_trace_key,
    sourceAccountId: row.source_account_id,
    amountMinor: row.amount_minor,
    state: row.state,
    delivery:
      traceKey === null || identifier === null || atc === null
        ? null
        : {
            ...{ traceKey, identifier, atc },
            counterBefore: row.counter_before,
            balanceMinor: row.balance_before_minor,
          },
    deliveries: row.deliveries,
    evidence: row.evidence,
    createdAtMs: Number(row.created_at_ms),
    changedAtMs: Number(row.changed_at_ms),
  };
}

export function rowOfScriptChange({ from, deliveriesBefore, script }: ScriptChange): {
  readonly from: string | null;
  readonly deliveries_before: number;
  readonly script: Row;
} {
  return { from, deliveries_before: deliveriesBefore, script: rowOf(script) };
}

function rowOf(script: Script): Row {
  const { delivery, newPin } = script;
  const balanceMinor = delivery?.balanceMinor ?? null;
  return {
    script_id: script.scriptId,
    card_id: script.cardId,
    kind: script.kind,
    target: script.target,
    data: script.data,
    pin_block: newPin?.pinBlock ?? null,
    pin_key: newPin?.pinKey ?? null,
    pvv: newPin?.pvv ?? null,
    load_trace_key: script.loadTraceKey,
    source_account_id: script.sourceAccountId,
    amount_minor: String(script.amountMinor),
    state: script.state,
    delivered_trace_key: delivery?.traceKey ?? null,
    identifier: delivery?.identifier ?? null,
    delivered_atc: delivery?.atc ?? null,
    counter_before: delivery?.counterBefore ?? null,
    balance_before_minor: balanceMinor === null ? null : String(balanceMinor),
    deliveries: script.deliveries,
    evidence: script.evidence,
    created_at_ms: script.createdAtMs,
    changed_at_ms: script.changedAtMs,
  };
}

export function rowOfSettings(settings: CardSettings): Row {
  const { cardId, pvv, electronicCashLimitMinor: limitMinor } = settings;
  return {
    card_id: cardId,
    pvv: pvv ?? null,
    electronic_cash_limit_minor: limitMinor === undefined ? null : String(limitMinor),
  };
}
