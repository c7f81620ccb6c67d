/** Asks a host of its own, beside whatever the page is doing, what is wrong on this machine. */
import type { DoctorReport } from '@tapnpay/protocol/wire';
import { Extension, type PageBus } from './extension.ts';
import { AGENT_ACK_MS, AGENT_HELLO_MS } from './states.ts';

/** A doctor goes from link to link, each with limits of its own. */
const DOCTOR_MS = 60_000;

/** What it finds; null when there is no extension, or no host to be had. */
export async function askDoctor(bus?: PageBus): Promise<DoctorReport | null> {
  const extension = new Extension(() => {}, bus);
  try {
    const here = await extension.ask({ kind: 'ping' }, 'here', AGENT_ACK_MS);
    if (here?.kind !== 'here') return null;
    const hello = await extension.ask({ kind: 'open' }, 'hello', AGENT_HELLO_MS);
    if (hello?.kind !== 'hello') return null;
    const answer = await extension.ask({ kind: 'doctor' }, 'report', DOCTOR_MS);
    return answer?.kind === 'report' ? answer.report : null;
  } finally {
    extension.end();
  }
}
