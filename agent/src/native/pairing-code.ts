/** Gets a code for a new element from the gateway, with the operator's key of this installation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorFromBody } from '@tapnpay/protocol/bytes';
import { checkShape, errorBodyShape, objectShape, textShape } from '@tapnpay/protocol/wire';
import { AgentError } from '../errors.ts';
import type { HostConfig } from './config.ts';

const PAIRING_CODES_PATH = '/v1/pairing-codes';
const TIMEOUT_MS = 10_000;
const ANSWER_CHARACTERS_MAX = 65_536;

const keysShape = objectShape({ operatorKey: textShape(256, /^[\x21-\x7e]+$/) });
const codeShape = objectShape({ code: textShape(64, /^[\x21-\x7e]+$/) });

/** @throws TapError the gateway's own code; AgentError `ERR_GATEWAY_HTTP`. */
export async function operatorPairingCode(
  config: Pick<HostConfig, 'dataDir' | 'gatewayUrl'>,
): Promise<string> {
  const { operatorKey } = keysOf(config.dataDir);
  const url = new URL(PAIRING_CODES_PATH, config.gatewayUrl);
  let isOk: boolean;
  let answer: unknown;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${operatorKey}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    isOk = response.ok;
    answer = JSON.parse((await response.text()).slice(0, ANSWER_CHARACTERS_MAX));
  } catch (cause) {
    throw new AgentError('ERR_GATEWAY_HTTP', `no answer of ${url.host}`, {}, cause);
  }
  if (isOk) return checkShape(codeShape, answer, 'pairingCode').code;
  throw errorFromBody(checkShape(errorBodyShape, answer, 'error'));
}

function keysOf(dataDir: string): { readonly operatorKey: string } {
  try {
    const text = readFileSync(join(dataDir, 'gateway', 'merchant-key.json'), 'utf8');
    return checkShape(keysShape, JSON.parse(text), 'keys');
  } catch (cause) {
    const message = 'the operator key of this system is missing: a new element cannot be paired';
    throw new AgentError('ERR_GATEWAY_HTTP', message, {}, cause);
  }
}
