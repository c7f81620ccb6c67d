/**
 * What a job would do: the steps that are missing by what was last read, with their clear commands.
 * Nothing is written and nothing is sent; key sets are shown by their check values.
 */
import { toHex } from '@tapnpay/protocol/bytes';
import { encodeCommand } from '@tapnpay/protocol/iso7816';
import { callHsm, ElementLine } from '../element-line.ts';
import type { Element, ElementReading, Placement } from '../model.ts';
import { placementId } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { allRows, needRow } from '../rows.ts';
import { commandOfStep, loadFileCommands, personalizeCommand } from './commands.ts';
import { type JobRequest, newestRelease } from './create.ts';
import { missingSteps, type PlannedApplication, type Step, subjectOf } from './plan.ts';
import { plannedOf } from './run.ts';

/** Data bytes of a command where no session says another number. */
const DATA_BYTES_MAX = 223;
/** Commands that are shown of one step. */
const SHOWN_COMMANDS_MAX = 64;

/** No name of a master. */
const NEW_MASTER = '';

/** One step as it is shown. */
export type PreviewedStep = {
  readonly name: Step['name'];
  readonly subject: string;
  /** Clear commands in hex, before the session protects them. */
  readonly commands: readonly string[];
  /** Commands that are not shown. */
  readonly hidden: number;
  readonly note: string | null;
};

/** The steps of a job that is not made. @throws TsmError as `createJob` for what is not there. */
export async function previewJob(
  ports: TsmPorts,
  request: JobRequest,
): Promise<readonly PreviewedStep[]> {
  const { serial, kind, applicationIds = [] } = request;
  const row = await needRow(ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN');
  // A rotation makes its master when it is asked for, not when it is looked at.
  const element = kind === 'rotateKeys' ? { ...row, master: NEW_MASTER } : row;
  const reading = element.reading ?? neverRead(ports);
  const applications = await Promise.all(
    applicationIds.map((id) => plannedLike(ports, element, { kind, applicationId: id })),
  );
  const world = { kind, element, reading, profile: ports.profile, applications };
  const line = new ElementLine(ports, await allRows(ports.store, 'masters'));
  return Promise.all(missingSteps(world).map((step) => shown({ ports, element, line }, step)));
}

/** An element of the factory. */
function neverRead({ profile }: TsmPorts): ElementReading {
  return {
    ...{ readAtMs: 0, lifeCycle: 1, entries: [], loadFiles: [], cplc: null, isTruncated: false },
    keyVersions: { [profile.issuerDomainAid]: [0xff] },
  };
}

async function plannedLike(
  ports: TsmPorts,
  element: Element,
  wish: { readonly kind: JobRequest['kind']; readonly applicationId: string },
): Promise<PlannedApplication> {
  const { kind, applicationId } = wish;
  const id = placementId(element.id, applicationId);
  const known = await ports.store.find('placements', id);
  const base: Placement = known ?? {
    ...{ id, parent: element.id, state: 'operable', version: 0, applicationId },
    ...{ wantedVersionId: null, knownVersionId: null, personalisedAs: null },
  };
  const isNewest = kind === 'enrol' || kind === 'update';
  const newest = isNewest ? (await newestRelease(ports, applicationId)).id : base.wantedVersionId;
  const states = { lock: 'locked', delete: 'absent' } as const;
  const state = kind === 'lock' || kind === 'delete' ? states[kind] : 'operable';
  const isReplaced = state === 'operable' && newest !== base.knownVersionId;
  const isAnew = kind === 'personalise' || isReplaced;
  const personalisedAs = isAnew ? null : base.personalisedAs;
  return plannedOf(ports, element, { ...base, state, personalisedAs, wantedVersionId: newest });
}

async function shown(
  {
    ports,
    element,
    line,
  }: {
    readonly ports: TsmPorts;
    readonly element: Element;
    readonly line: ElementLine;
  },
  step: Step,
): Promise<PreviewedStep> {
  const of = (commands: readonly string[], note: string | null): PreviewedStep => ({
    ...{ name: step.name, subject: subjectOf(step), note },
    commands: commands.slice(0, SHOWN_COMMANDS_MAX),
    hidden: Math.max(0, commands.length - SHOWN_COMMANDS_MAX),
  });
  switch (step.name) {
    case 'putKeys': {
      const { domainAid, master, keyVersionNumber, replaces } = step;
      const versions = `version ${byte(keyVersionNumber)} for ${byte(replaces)}`;
      if (master === NEW_MASTER) return of([], `PUT KEY ${versions}, a new master`);
      const way = element.keyType === 'aes' ? 'kdf3' : 'emv';
      const source = line.sourceOf(element, { domainAid, master, way });
      const protocol = element.keyType === 'aes' ? 3 : 2;
      const { kcvs } = await callHsm(ports, { command: 'elementKeyCheckValues', source, protocol });
      return of([], `PUT KEY ${versions}, master ${master}, check values ${kcvs.join(' ')}`);
    }
    case 'putCertifierKey': {
      const kind = ports.profile.signatureKind;
      return of([], `PUT KEY version 73, the key that verifies ${kind}`);
    }
    case 'load': {
      const options = { dataBytesMax: DATA_BYTES_MAX };
      const commands = await loadFileCommands(ports, step.planned, options);
      return of(
        commands.map((one) => toHex(encodeCommand(one))),
        null,
      );
    }
    case 'personalise': {
      const groupings = step.planned.data ?? [];
      const first = toHex(encodeCommand(personalizeCommand(step.planned)));
      const names = groupings.map(({ identifier }) => identifier.toString(16).padStart(4, '0'));
      return of([first], `STORE DATA, enciphered: groupings ${names.join(' ').toUpperCase()}`);
    }
    default:
      return of([toHex(encodeCommand(commandOfStep(step)))], null);
  }
}

function byte(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}
