/** The switch of a laboratory tells what passes it for each payment; no step of it is different. */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import {
  runInTrace,
  type Tracer,
  traceAnswer,
  tracedHsm,
  traceExchange,
} from '../runtime/index.ts';
import { SwitchCore } from './core.ts';
import { INSTITUTION_GATEWAY, INSTITUTION_ISSUER, type SwitchPorts } from './ports.ts';
import { keySetsOf } from './responses.ts';

/** The core over ports that write what passes them; without a tracer the core as it is. */
export function switchCore(ports: SwitchPorts, tracer: Tracer | undefined): SwitchCore {
  return tracer ? new TracedCore(tracedPorts(ports, tracer), tracer) : new SwitchCore(ports);
}

function tracedPorts(ports: SwitchPorts, tracer: Tracer): SwitchPorts {
  const { lines } = ports;
  return {
    ...ports,
    tracer,
    hsm: tracedHsm(ports.hsm, tracer),
    lines: {
      keys: (institutionId) => lines.keys(institutionId),
      previousKeys: (institutionId) => lines.previousKeys(institutionId),
      acceptedKeys: (institutionId) => keySetsOf(lines, institutionId),
      send: (institutionId, message, timeoutMs) =>
        traceExchange(tracer, { message, peer: peerName(institutionId) }, () =>
          lines.send(institutionId, message, timeoutMs),
        ),
    },
    // What is woken by one payment works for many.
    wake: () => tracer.outside(() => ports.wake()),
  };
}

class TracedCore extends SwitchCore {
  readonly #tracer: Tracer;

  constructor(ports: SwitchPorts, tracer: Tracer) {
    super(ports);
    this.#tracer = tracer;
  }

  override handle(memberId: string, message: Iso8583Message): Promise<Iso8583Message | null> {
    const facts = { message, peer: peerName(memberId), hop: 'route' } as const;
    return traceAnswer(this.#tracer, facts, () => super.handle(memberId, message));
  }

  override lateReply(memberId: string, message: Iso8583Message): Promise<void> {
    const references = [textField(message, 37)];
    return runInTrace(this.#tracer, { references, hop: 'return' }, () =>
      super.lateReply(memberId, message),
    );
  }
}

/** The institutions of a laboratory by the names of their parties. */
function peerName(institutionId: string): string {
  if (institutionId === INSTITUTION_GATEWAY) return 'gateway';
  return institutionId === INSTITUTION_ISSUER ? 'issuer' : institutionId;
}
