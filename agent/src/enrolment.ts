/** Brings an element's request to the gateway and the gateway's grant to the element. */
import { errorFromBody, type TapError } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  enrolmentGrantShape,
  enrolmentRequestShape,
  errorBodyShape,
} from '@tapnpay/protocol/wire';
import type { ElementProcess } from './element-process.ts';
import { AgentError } from './errors.ts';

const ENROLMENT_PATH = '/v1/enrolments';
const HTTP_TIMEOUT_MS = 15_000;
/** Longest answer read. */
const GRANT_CHARACTERS_MAX = 262_144;

/**
 * Enrols the element at a gateway with a pairing code.
 * @throws TapError the gateway's or the element's code; AgentError `ERR_GATEWAY_HTTP`.
 */
export async function enrolElement(request: {
  readonly element: ElementProcess;
  readonly gatewayUrl: string;
  readonly pairingCode: string;
}): Promise<{ readonly elementId: string }> {
  const { element, gatewayUrl, pairingCode } = request;
  const begun = await element.request({ type: 'beginEnrolment', pairingCode });
  const ask = checkShape(enrolmentRequestShape, begun, 'enrolmentRequest');
  const granted = await post(new URL(ENROLMENT_PATH, gatewayUrl), ask);
  const grant = checkShape(enrolmentGrantShape, granted, 'grant');
  await element.request({ type: 'finishEnrolment', grant });
  await element.refresh();
  return { elementId: ask.elementId };
}

async function post(url: URL, body: unknown): Promise<unknown> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    });
    status = response.status;
    text = (await response.text()).slice(0, GRANT_CHARACTERS_MAX);
  } catch (cause) {
    throw new AgentError('ERR_GATEWAY_HTTP', `no answer of ${url.host}`, {}, cause);
  }
  const answer = parse(text);
  if (status === 200 || status === 201) return answer;
  throw gatewayFault(status, answer);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AgentError('ERR_GATEWAY_HTTP', 'the gateway answered no JSON', {}, cause);
  }
}

/** The gateway's own coded error where it sent one. */
function gatewayFault(status: number, answer: unknown): TapError {
  try {
    return errorFromBody(checkShape(errorBodyShape, answer, 'error'));
  } catch {
    return new AgentError('ERR_GATEWAY_HTTP', `the gateway answered status ${status}`, { status });
  }
}
