/** Who this HSM is, what it is not, and the wiping of what it has cached. */
import { listShape } from '@tapnpay/protocol/wire';
import { forgetKeys } from '../context.ts';
import { type Command, command, keyBlockShape, noKeys, optionalShape } from './rule.ts';

/** Most keys of one request to forget. */
const FORGOTTEN_MAX = 64;

/** What every caller is told, and what `tapnpay hsm status` prints. */
export const HSM_NOTICE: string =
  'No certified HSM: a process of this machine. Its DES tables are not constant in time, its ' +
  'memory and files are open to the same user. For a laboratory only.';

/** Who this HSM is. */
export const statusCommand: Command<'status'> = command('status', {
  callers: ['gateway', 'switch', 'issuer', 'bureau', 'ceremony', 'tsm'],
  fields: {},
  keys: noKeys,
  run: ({ context: { party, masterKeyKcv, label, mechanisms } }) => ({
    ...{ party, masterKeyKcv, label, driver: 'embedded' },
    mechanisms: [...mechanisms],
    notice: HSM_NOTICE,
  }),
});

/** After a key change nothing of the old key needs to stay in memory. */
export const forgetKeysCommand: Command<'forgetKeys'> = command('forgetKeys', {
  callers: ['gateway', 'switch', 'issuer', 'ceremony', 'tsm'],
  fields: { keys: optionalShape(listShape(keyBlockShape, FORGOTTEN_MAX)) },
  keys: noKeys,
  run: ({ context, request }) => ({ forgotten: forgetKeys(context, request.keys) }),
});
