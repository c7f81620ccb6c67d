/** The issuer of a laboratory tells what it does for each request; no step of it is different. */
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { type Tracer, traceAnswer, tracedHsm, tracePostings, watched } from '../runtime/index.ts';
import { IssuerCore } from './core.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';

/** The core over ports that write what passes them; without a tracer the core as it is. */
export function issuerCore(ports: IssuerPorts, tracer: Tracer | undefined): IssuerCore {
  return tracer ? new TracedCore(tracedPorts(ports, tracer), tracer) : new IssuerCore(ports);
}

function tracedPorts(ports: IssuerPorts, tracer: Tracer): IssuerPorts {
  return {
    ...ports,
    hsm: tracedHsm(ports.hsm, tracer),
    store: watched(ports.store, {
      commit: (result, { transaction }) => {
        if (result !== 'committed' || !transaction) return;
        const { kind, postings } = transaction;
        const rows = postings.map(({ accountId, ...row }) => ({ ...row, account: accountId }));
        tracePostings(tracer, kind, rows);
      },
    }),
  };
}

class TracedCore extends IssuerCore {
  readonly #tracer: Tracer;

  constructor(ports: IssuerPorts, tracer: Tracer) {
    super(ports);
    this.#tracer = tracer;
  }

  override handle(message: Iso8583Message, keys: LineKeys): Promise<Iso8583Message | null> {
    const facts = { message, peer: 'switch', hop: 'decide' } as const;
    return traceAnswer(this.#tracer, facts, () => super.handle(message, keys));
  }
}
