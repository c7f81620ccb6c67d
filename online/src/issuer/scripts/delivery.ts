/** Which script goes with an answer, and what the card's next contact is judged against. */
import { concatBytes, toHex } from '@tapnpay/protocol/bytes';
import type { IssuerPorts } from '../ports.ts';
import { loadData, type ScriptContact, scriptTemplate } from './commands.ts';
import {
  changed,
  type Delivery,
  newScriptChange,
  type Script,
  type ScriptChange,
} from './model.ts';
import type { CardService } from './service.ts';

/** Bytes of 9F18. @see EMV 4.3 B3 Annex A */
const IDENTIFIER_BYTES = 4;

/** What a script leaves with. */
export type Dispatch = { readonly template: Uint8Array; readonly changes: readonly ScriptChange[] };

/**
 * The one script of this answer. All loads that the card does not have go as one new total: what
 * it vouches for, and their amounts. Without a load the oldest script goes, alone, for the card's
 * count does not say which of two it did. Null when nothing is to be delivered.
 * @throws TapError of the HSM.
 */
export async function dispatch(
  service: CardService,
  contact: ScriptContact & { readonly traceKey: string; readonly newLoad: Script | null },
  ports: Pick<IssuerPorts, 'clock' | 'random'>,
): Promise<Dispatch | null> {
  const { purse, counter, waiting } = service;
  const { newLoad } = contact;
  if (counter === null) return null;
  const identifier = toHex(ports.random.bytes(IDENTIFIER_BYTES));
  const { traceKey } = contact;
  const delivery: Delivery = {
    traceKey,
    identifier,
    atc: Number.parseInt(contact.atc, 16),
    counterBefore: counter,
    balanceMinor: null,
  };
  const leave = (script: Script, balanceMinor: bigint | null): ScriptChange => {
    const deliveries = script.deliveries + 1;
    const left = {
      state: 'delivered',
      delivery: { ...delivery, balanceMinor },
      deliveries,
    } as const;
    return changed(script, left, ports.clock.nowMs());
  };
  const loads = waiting.filter(({ kind }) => kind === 'load');
  if (loads.length > 0 || newLoad !== null) {
    if (purse.kind !== 'proved') return null;
    const { balanceMinor } = purse;
    const changes = loads.map((load) => leave(load, balanceMinor));
    const all =
      newLoad === null
        ? changes
        : [...changes, newScriptChange(leave(newLoad, balanceMinor).script)];
    const totalMinor = all.reduce((sum, { script }) => sum + script.amountMinor, balanceMinor);
    const command = { kind: 'load', target: '', data: loadData(totalMinor), newPin: null } as const;
    const template = await scriptTemplate(command, identifier, contact);
    // The card's count will speak of the loads: what went before them begins anew.
    const others = waiting.filter(({ kind, state }) => kind !== 'load' && state === 'delivered');
    const nowMs = ports.clock.nowMs();
    const again = others.map((script) => changed(script, { state: 'queued' }, nowMs));
    return { template, changes: [...all, ...again] };
  }
  const [oldest] = waiting;
  if (!oldest) return null;
  const template = await scriptTemplate(oldest, identifier, contact);
  return { template, changes: [leave(oldest, null)] };
}

/** Field 55 of an answer: proof, then script. */
export function iccDataHex(proof: Uint8Array, dispatched: Dispatch | null): string {
  return toHex(dispatched === null ? proof : concatBytes(proof, dispatched.template));
}
