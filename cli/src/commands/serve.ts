/** `tapnpay serve ROLE`: one party in this process, for `up` or for a service manager. */
import { resolve } from 'node:path';
import { runRole } from '@tapnpay/online/runtime';
import { skewSystemClock } from '@tapnpay/protocol/node';
import { type Command, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { ROLES } from '../system/roles.ts';

export const serve: Command = {
  summary: {
    en: 'run one role of a system: gateway, switch, issuer, shop, agent, observer, or an HSM',
    zh: '单独运行一个角色：gateway、switch、issuer、shop、agent、observer 或加密机',
  },
  usage: `usage: tapnpay serve ROLE [--data DIR]\nroles: ${Object.keys(ROLES).join(', ')}`,
  options: { data: { type: 'string' }, supervised: { type: 'boolean' } },
  run: async (values, positionals) => {
    const [name = ''] = positionals;
    const start = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
    if (!start) throw new UsageError(`serve takes a role: ${Object.keys(ROLES).join(', ')}`);
    const system = readSystemConfig(resolve(textOption(values, 'data') ?? defaultDataDir));
    skewSystemClock(system.skewMs?.[name] ?? 0);
    const supervised = values['supervised'] === true;
    await runRole({ role: name, start: () => start(system), supervised });
    return 0;
  },
};
