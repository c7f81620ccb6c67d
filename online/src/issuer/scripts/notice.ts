/**
 * The script result notice: how a card took what came with an earlier answer. A notice that comes
 * twice, late, or after the card itself has shown it, changes nothing more.
 * @see Q/CUP 006, message 0620; EMV 4.3 B4 §A5 table 34
 */
import { recordOf, workItem } from '../change.ts';
import type { RequestRecord } from '../model.ts';
import type { IssuerPorts } from '../ports.ts';
import type { NoticeRequest } from '../request.ts';
import type { IssuerChange } from '../store.ts';
import { changed, type Script, type ScriptChange, settingsOf } from './model.ts';
import type { ScriptResult } from './results.ts';

/** What one notice does. */
export async function decideNotice(
  request: NoticeRequest,
  ports: IssuerPorts,
): Promise<IssuerChange> {
  const { store } = ports;
  const original = await store.findRequest(request.originalTraceKey);
  const refusal = refuse(request, original);
  if (refusal !== null || original === null) {
    const [responseCode, reason] = refusal ?? ['25', 'originalUnknown'];
    const cardId = original?.panLookup === request.panLookup ? original.cardId : null;
    const facts = { cardId, responseCode, reason, state: 'declined' } as const;
    const record = recordOf(request, facts, ports);
    return { record, workItems: [workItem('adviceRefused', record, { note: reason }, ports)] };
  }
  const delivered = await store.findDelivered(original.traceKey);
  const nowMs = ports.clock.nowMs();
  const known = delivered.flatMap((script) => {
    const result = request.results?.find(
      ({ identifier }) => identifier === script.delivery?.identifier,
    );
    return result === undefined ? [] : [{ script, result }];
  });
  const changes = known.flatMap(({ script, result }) => changeOf(script, result, nowMs));
  const isHeard = known.length > 0 && changes.length === 0;
  const record = recordOf(
    request,
    {
      cardId: original.cardId,
      state: 'approved',
      responseCode: '00',
      reason: known.length === 0 ? 'superseded' : isHeard ? 'known' : null,
      originalTraceKey: original.traceKey,
    },
    ports,
  );
  const settings = changes.map(({ script }) =>
    script.state === 'done' ? settingsOf(script) : null,
  );
  const found = settings.find((one) => one !== null);
  const refused = changes.filter(
    ({ script }) => script.state === 'failed' || isRefusedLoad(script),
  );
  return {
    record,
    scripts: changes,
    ...(found && { settings: found }),
    workItems: refused.map(({ script: { kind, amountMinor } }) => {
      const facts = { amountMinor, note: `the card refused ${kind}` };
      return workItem('scriptFailed', record, facts, ports);
    }),
  };
}

function refuse(
  request: NoticeRequest,
  original: RequestRecord | null,
): readonly [responseCode: string, reason: string] | null {
  if (request.results === null) return ['30', 'scriptResults'];
  if (!original || original.state === 'refusedAhead') return ['25', 'originalUnknown'];
  return original.panLookup === request.panLookup ? null : ['12', 'originalDiffers'];
}

/**
 * A load that failed or was not performed stays debited and not confirmed: the card's next contact
 * gets it again. A reversed one was told to the card after all; the contact will show it.
 */
function changeOf(script: Script, result: ScriptResult, nowMs: number): readonly ScriptChange[] {
  // A queued one was delivered before, and is to be delivered again.
  if (script.state !== 'delivered' && script.state !== 'queued') return [];
  if (result.outcome === 'successful') {
    return [changed(script, { state: 'done', evidence: 'notice' }, nowMs)];
  }
  if (script.state === 'queued') return [];
  if (script.kind === 'load') {
    return result.outcome === 'failed' ? [changed(script, { evidence: 'notice' }, nowMs)] : [];
  }
  const state = result.outcome === 'failed' ? 'failed' : 'queued';
  return [changed(script, { state, evidence: 'notice' }, nowMs)];
}

function isRefusedLoad({ kind, state }: Script): boolean {
  return kind === 'load' && state === 'delivered';
}
