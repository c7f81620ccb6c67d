/** The HSM's commands, each with its callers, form, keys and what it does. */
import type { HsmCommand } from '@tapnpay/protocol/wire';
import { personaliseCardCommand } from './bureau-commands.ts';
import {
  generateArpcCommand,
  generateScriptMacCommand,
  verifyArqcCommand,
  verifyEcBalanceCommand,
} from './cryptogram-commands.ts';
import {
  exportInitialKeyCommand,
  formKeyCommand,
  generateKeyCommand,
  importKeyCommand,
} from './key-commands.ts';
import { generateMacCommand, verifyMacCommand } from './mac-commands.ts';
import {
  generatePinChangeCommand,
  generatePinCommand,
  generatePvvCommand,
} from './new-pin-commands.ts';
import { translatePinCommand, verifyPinCommand } from './pin-commands.ts';
import type { Command } from './rule.ts';
import { forgetKeysCommand, statusCommand } from './status-commands.ts';

/** Every command. */
export const HSM_COMMANDS: { readonly [C in HsmCommand]: Command<C> } = {
  status: statusCommand,
  forgetKeys: forgetKeysCommand,
  formKey: formKeyCommand,
  generateKey: generateKeyCommand,
  importKey: importKeyCommand,
  generateMac: generateMacCommand,
  verifyMac: verifyMacCommand,
  translatePin: translatePinCommand,
  verifyPin: verifyPinCommand,
  generatePvv: generatePvvCommand,
  generatePin: generatePinCommand,
  verifyArqc: verifyArqcCommand,
  generateArpc: generateArpcCommand,
  generateScriptMac: generateScriptMacCommand,
  generatePinChange: generatePinChangeCommand,
  verifyEcBalance: verifyEcBalanceCommand,
  exportInitialKey: exportInitialKeyCommand,
  personaliseCard: personaliseCardCommand,
};
