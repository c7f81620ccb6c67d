/** An application that tries what the element's process must not do; loaded by tests only. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Secret } from '@tapnpay/protocol/bytes';
import type {
  ElementPayResult,
  HostCall,
  HostConversation,
  PaymentApplication,
  ShownOrder,
} from '@tapnpay/protocol/wire';

/** A file beside the code that no `allowRead` names. */
const FOREIGN_FILE = fileURLToPath(new URL('../../package.json', import.meta.url));
let connection = 'none';

/** One attempt; `done`, or the code that stopped it. */
export function probe(what: string): string {
  const [name = '', argument = ''] = what.split('.');
  try {
    return attempt(name, argument);
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code ?? String(fault);
  }
}

function attempt(name: string, argument: string): string {
  switch (name) {
    case 'read':
      return readFileSync(FOREIGN_FILE).length > 0 ? 'done' : 'empty';
    case 'write': {
      const path = join(tmpdir(), `tapnpay-probe-${process.pid}`);
      writeFileSync(path, '');
      rmSync(path);
      return 'done';
    }
    case 'spawn': {
      const { error } = spawnSync(process.execPath, ['--version']);
      if (error) throw error;
      return 'done';
    }
    case 'worker':
      new Worker('', { eval: true }).unref();
      return 'done';
    case 'connect':
      startConnection(Number(argument));
      return 'started';
    case 'connection':
      return connection;
    case 'environment':
      return Object.keys(process.env).join(' ');
    default:
      return 'unknown probe';
  }
}

function startConnection(port: number): void {
  const socket = connect(port, '127.0.0.1', () => {
    connection = 'done';
    socket.destroy();
  });
  socket.on('error', (fault: NodeJS.ErrnoException) => {
    connection = fault.code ?? 'error';
  });
}

const ORDER: ShownOrder = {
  ...{ kind: 'purchase', amountMinor: '1234', currency: '156' },
  ...{ merchantName: 'Test Shop', origin: 'https://shop.test' },
};
const SELECT: HostCall = { call: 'cardTransmit', command: Uint8Array.of(0, 0xa4, 4, 0) };
const RELEASE: HostCall = { call: 'releaseCard' };
const SEAL_PIN: HostCall = { call: 'sealPin', pan: new Secret('6299990000000009'), ...ORDER };
const present = (attempt: number): HostCall => {
  return { call: 'presentCard', ...ORDER, interfaces: ['contact'], attempt, reason: null };
};

/** Host calls of an application by name, right and wrong ones. */
const CALLS: Readonly<Record<string, readonly HostCall[]>> = {
  hang: [present(1), SELECT],
  'no-card': [SELECT],
  released: [present(1), RELEASE, SELECT],
  'card-gone-again': [present(1), SELECT, present(2)],
  'pin-early': [SEAL_PIN],
  'pin-twice': [present(1), SEAL_PIN, SEAL_PIN],
  'pin-again': [present(1), SEAL_PIN, present(2), SEAL_PIN],
  'cards-endless': Array.from({ length: 9 }, () => present(1)),
};

function* pay(what: string): HostConversation<ElementPayResult> {
  for (const call of CALLS[what] ?? []) yield call;
  if (what === 'defect') throw new TypeError('a defect');
  while (what === 'endless') yield { call: 'clock' } satisfies HostCall;
  return {
    outcome: 'cancelled',
    reason: probe(what),
    charged: 'no',
    interface: null,
    paymentId: null,
    responseCode: null,
    card: null,
    cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
    tvr: '',
    tsi: '',
    cvmResults: '',
    dataAuthentication: 'none',
    channel: null,
  };
}

/** The entry the element looks for. */
export function createPaymentApplication(): PaymentApplication {
  return { pay: ({ orderId }) => pay(orderId) };
}
