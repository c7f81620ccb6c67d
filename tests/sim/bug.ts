/** Where a world can be broken; planted bugs are decorators over these places. */
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { Hsm } from '@tapnpay/protocol/wire';
import type { AuditLog } from '../../online/src/gateway/audit/log.ts';
import type { SwitchLine } from '../../online/src/gateway/ports.ts';
import type { GatewayStore } from '../../online/src/gateway/store.ts';
import type { RequestRecord } from '../../online/src/issuer/model.ts';
import type { IssuerStore } from '../../online/src/issuer/store.ts';
import type { Log } from '../../online/src/runtime/logging.ts';
import type { MemberLines } from '../../online/src/switch/ports.ts';
import type { SwitchStore } from '../../online/src/switch/store.ts';

/** One bug of one world: it lives as long as its world. */
export type Bug = {
  gatewayStore(store: GatewayStore): GatewayStore;
  switchStore(store: SwitchStore): SwitchStore;
  issuerStore(store: IssuerStore): IssuerStore;
  audit(log: AuditLog): AuditLog;
  gatewayLine(line: SwitchLine, own: { readonly hsm: Hsm; readonly log: Log }): SwitchLine;
  switchLines(lines: MemberLines, hsm: Hsm): MemberLines;
  /** After the gateway has looked at an answer that nobody waited for. */
  onLateReply(message: Iso8583Message): Promise<void>;
  /** A line gets new working keys. */
  onKeyChange(): void;
};

/** Nothing is broken. */
export const NO_BUG: Bug = {
  gatewayStore: (store) => store,
  switchStore: (store) => store,
  issuerStore: (store) => store,
  audit: (log) => log,
  gatewayLine: (line) => line,
  switchLines: (lines) => lines,
  onLateReply: async () => undefined,
  onKeyChange: () => undefined,
};

/** `target` with some methods replaced. */
export function decorate<Port extends object>(target: Port, changes: Partial<Port>): Port {
  return new Proxy(target, {
    get(_, property) {
      const changed: unknown = Reflect.get(changes, property);
      if (changed !== undefined) return changed;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** What `RequestRecord.traceKey` was before a bug made copies of it. */
export function plainTraceKey({ traceKey }: Pick<RequestRecord, 'traceKey'>): string {
  return traceKey.split('/').slice(0, 5).join('/');
}
