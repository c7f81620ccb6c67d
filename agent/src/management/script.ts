/** A dry run: every command as it would go over the wire, computed from what the card shows. */
import { toHex } from '@tapnpay/protocol/bytes';
import { CLA_GLOBALPLATFORM } from '@tapnpay/protocol/globalplatform/data';
import {
  externalAuthenticate,
  type HostSession,
  initializeUpdateCommand,
  type KeyCandidate,
  sessionMessages,
  sessionOf,
} from '@tapnpay/protocol/globalplatform/offcard';
import { type CommandApdu, encodeCommand } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type CardLook, highestLevel } from './keys-of-card.ts';
import type { NamedCommand } from './operations.ts';

/** One command of a script, clear and as it goes over the wire, in hex. */
export type ScriptLine = { readonly name: string; readonly clear: string; readonly wire: string };

/**
 * Computes the script of a session with a card that was looked at. What is wrapped is of that one
 * session; where the card's challenge is pseudo-random (i bit 10) the next one has the same.
 * @throws GlobalPlatformError.
 */
export function dryRun(
  look: CardLook,
  { keys }: KeyCandidate,
  commandsOf: (session: HostSession) => readonly NamedCommand[],
): readonly ScriptLine[] {
  const { answer, hostChallenge, commandBytesMax } = look;
  const securityLevel = highestLevel(answer);
  const messages = sessionMessages(nodeCiphers, { keys, answer, hostChallenge });
  const session = sessionOf(messages, answer, { securityLevel, commandBytesMax });
  const first = initializeUpdateCommand(answer.keyVersionNumber, hostChallenge);
  const second = externalAuthenticate(messages, securityLevel);
  const proof = messages.hostCryptogram();
  return [
    lineOf('INITIALIZE UPDATE', first, first),
    lineOf('EXTERNAL AUTHENTICATE', { ...second, cla: CLA_GLOBALPLATFORM, data: proof }, second),
    ...commandsOf(session).map(({ name, command }) => lineOf(name, command, session.wrap(command))),
  ];
}

function lineOf(name: string, clear: CommandApdu, wire: CommandApdu): ScriptLine {
  return { name, clear: toHex(encodeCommand(clear)), wire: toHex(encodeCommand(wire)) };
}
