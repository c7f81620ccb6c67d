/** Asks every part that the extension can reach how it is, and makes a report of the answers. */
import { type HostFrame, NativeLink } from '@tapnpay/plugin/extension';
import {
  type AgentMessage,
  checkShape,
  type DoctorCheck,
  type DoctorReport,
  foundWaiting,
  type NativeFaultCode,
  type NativeHostHello,
  PLUGIN_VERSIONS_PATH,
  type PluginVersions,
  pluginFaultCheck,
  pluginVersionsShape,
  type UpdateNeed,
  updateNeed,
} from '@tapnpay/protocol/wire';

/** Longest wait for a gateway. */
export const GATEWAY_TIMEOUT_MS = 5_000;
/** Longest wait for the host's doctor: it tries every reader and the gateway. */
export const DOCTOR_TIMEOUT_MS = 30_000;

export type HostFact =
  | { readonly state: 'there'; readonly hello: NativeHostHello }
  | { readonly state: 'lost'; readonly code: NativeFaultCode; readonly detail: string };

export type GatewayFact = { readonly origin: string } & (
  | { readonly state: 'there'; readonly versions: PluginVersions }
  /** `down`: no answer; `other`: an answer that is none of ours. */
  | { readonly state: 'down' | 'other'; readonly reason: string }
);

/** What a host answers a doctor with; null when it was lost before, or refused. */
export type HostExamination = {
  readonly host: HostFact;
  readonly report: DoctorReport | null;
  readonly tookMs: number;
};

type LinkPorts = ConstructorParameters<typeof NativeLink>[0];
/** The browser, and the origin of the extension's own pages. */
export type HostPorts = Pick<LinkPorts, 'runtime' | 'after'> & {
  readonly origin: string;
  readonly nowMs: () => number;
};

/** Starts a host, hears its hello, and lets it go; with `doctor` hears its report first. */
export function askHost(ports: HostPorts, wish: 'hello' | 'doctor'): Promise<HostExamination> {
  const { runtime, after, origin, nowMs } = ports;
  const startedMs = nowMs();
  return new Promise((done) => {
    let host: HostFact | null = null;
    let stopTimer = (): void => {};
    const finish = (end: HostFact, report: DoctorReport | null): void => {
      stopTimer();
      link.close();
      done({ host: end, report, tookMs: nowMs() - startedMs });
    };
    const link = new NativeLink({
      runtime,
      after,
      // The extension asks for itself: it may call the doctor and do no more.
      page: { origin, tabId: -1, frameId: 0 },
      onHello: (hello) => {
        host = { state: 'there', hello };
        if (wish === 'hello') return finish(host, null);
        link.send({ type: 'doctor' });
      },
      onFrame: (frame: HostFrame) => {
        if (frame.type === 'report' && host !== null) finish(host, frame.report);
        else if (frame.type === 'page') finish(refusalOf(frame.message), null);
      },
      onLost: (code, detail) => finish({ state: 'lost', code, detail }, null),
    });
    stopTimer = after(DOCTOR_TIMEOUT_MS, () => {
      const detail = `no report in ${DOCTOR_TIMEOUT_MS} ms`;
      finish({ state: 'lost', code: 'ERR_HOST_TIMEOUT', detail }, null);
    });
    link.open();
  });
}

/** A host says nothing to a page that has not spoken, unless that it will not serve it. */
function refusalOf(message: AgentMessage): HostFact {
  if (message.type !== 'refused') {
    return { state: 'lost', code: 'ERR_HOST_PROTOCOL', detail: message.type };
  }
  const { code, message: words } = message.error;
  const known = code === 'ERR_ORIGIN' ? 'ERR_ORIGIN' : 'ERR_HOST_PROTOCOL';
  return { state: 'lost', code: known, detail: `${code}: ${words}` };
}

/** Asks a gateway for its document of versions. */
export async function askGateway(origin: string, send: typeof fetch): Promise<GatewayFact> {
  let response: Response;
  try {
    response = await send(`${origin}${PLUGIN_VERSIONS_PATH}`, {
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(GATEWAY_TIMEOUT_MS),
    });
  } catch (fault) {
    return { origin, state: 'down', reason: fault instanceof Error ? fault.message : `${fault}` };
  }
  if (!response.ok) return { origin, state: 'other', reason: `HTTP ${response.status}` };
  try {
    const versions = checkShape(pluginVersionsShape, await response.json(), 'versions');
    return { origin, state: 'there', versions };
  } catch (fault) {
    return { origin, state: 'other', reason: fault instanceof Error ? fault.message : `${fault}` };
  }
}

const NEEDS: readonly UpdateNeed[] = ['ok', 'optional', 'forced'];

/** What the strictest gateway wants of a part. */
export function needOf(
  part: 'extension' | 'host',
  version: string,
  gateways: readonly GatewayFact[],
): { readonly need: UpdateNeed; readonly latest: string; readonly required: string } {
  let strictest = { need: 'ok' as UpdateNeed, latest: version, required: version };
  for (const gateway of gateways) {
    if (gateway.state !== 'there') continue;
    const { latest, required } = gateway.versions[part];
    const need = updateNeed(version, { latest, required });
    if (NEEDS.indexOf(need) > NEEDS.indexOf(strictest.need)) {
      strictest = { need, latest, required };
    }
  }
  return strictest;
}

/** The whole report: the extension's own links, then what the host found behind them. */
export function wholeReport(facts: {
  readonly extensionVersion: string;
  readonly examination: HostExamination;
  readonly gateways: readonly GatewayFact[];
}): DoctorReport {
  const { extensionVersion, examination, gateways } = facts;
  const { host, report, tookMs } = examination;
  const extension = extensionCheck(extensionVersion, gateways);
  if (host.state === 'lost') {
    const { code, detail } = host;
    const fault = pluginFaultCheck(code, detail);
    const waits = (['element', 'readerService', 'readers'] as const).map((id) => ({
      id,
      ...foundWaiting('host'),
    }));
    return { checks: [extension, fault, ...waits, ...gateways.map(gatewayCheck)] };
  }
  const found = report?.checks ?? [];
  const has = (wanted: string): boolean => found.some(({ id }) => id === wanted);
  const { version } = host.hello;
  const own: DoctorCheck = {
    id: 'host',
    state: 'ok',
    code: null,
    facts: { version, ms: String(Math.round(tookMs)) },
  };
  const checks = [extension, ...(has('host') ? [] : [own]), ...found];
  return { checks: has('gateway') ? checks : [...checks, ...gateways.map(gatewayCheck)] };
}

function extensionCheck(version: string, gateways: readonly GatewayFact[]): DoctorCheck {
  const { need, latest, required } = needOf('extension', version, gateways);
  const facts = { version, latest, required };
  if (need === 'ok') return { id: 'extension', state: 'ok', code: null, facts };
  return need === 'forced'
    ? { id: 'extension', state: 'broken', code: 'ERR_EXTENSION_OUTDATED', facts }
    : { id: 'extension', state: 'warn', code: 'ERR_EXTENSION_UPDATE', facts };
}

function gatewayCheck(gateway: GatewayFact): DoctorCheck {
  const facts = { url: gateway.origin };
  if (gateway.state === 'there') return { id: 'gateway', state: 'ok', code: null, facts };
  const code = gateway.state === 'down' ? 'ERR_GATEWAY_DOWN' : 'ERR_GATEWAY_OTHER';
  return { id: 'gateway', state: 'broken', code, facts: { ...facts, reason: gateway.reason } };
}
