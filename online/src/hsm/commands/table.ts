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
  putElementKeysCommand,
  storeElementDataCommand,
  unwrapElementAnswersCommand,
  verifyElementAnswerCommand,
  wrapElementCommandsCommand,
} from './element-message-commands.ts';
import {
  elementKeyCheckValuesCommand,
  exportFactoryKeysCommand,
  generateElementMasterCommand,
  openElementScriptCommand,
  openElementSessionCommand,
} from './element-session-commands.ts';
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
import { loadFileVerificationKeyCommand, signLoadFileCommand } from './signing-commands.ts';
import { forgetKeysCommand, statusCommand } from './status-commands.ts';
import { verifyTokenCommand } from './token-command.ts';

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
  verifyToken: verifyTokenCommand,
  generateArpc: generateArpcCommand,
  generateScriptMac: generateScriptMacCommand,
  generatePinChange: generatePinChangeCommand,
  verifyEcBalance: verifyEcBalanceCommand,
  exportInitialKey: exportInitialKeyCommand,
  personaliseCard: personaliseCardCommand,
  generateElementMaster: generateElementMasterCommand,
  elementKeyCheckValues: elementKeyCheckValuesCommand,
  openElementSession: openElementSessionCommand,
  openElementScript: openElementScriptCommand,
  verifyElementAnswer: verifyElementAnswerCommand,
  wrapElementCommands: wrapElementCommandsCommand,
  unwrapElementAnswers: unwrapElementAnswersCommand,
  putElementKeys: putElementKeysCommand,
  storeElementData: storeElementDataCommand,
  signLoadFile: signLoadFileCommand,
  loadFileVerificationKey: loadFileVerificationKeyCommand,
  exportFactoryKeys: exportFactoryKeysCommand,
};
