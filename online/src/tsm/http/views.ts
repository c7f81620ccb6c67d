/** Rows as they leave: nothing that is not named here. */
import { cardStateOf, placementView } from '../drift.ts';
import type { Application, ApplicationVersion, Element, Job, Provider, Script } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { allRows, needRow } from '../rows.ts';

/** An element without its keys' sources. */
export function elementView(element: Element): object {
  const { id, parent, keySets } = element;
  return {
    ...{ ...element, serial: id, ownerId: parent || null, cardState: cardStateOf(element) },
    keySets: keySets.map(({ domainAid, keyVersionNumber, master, way }) => ({
      ...{ domainAid, keyVersionNumber, master, way },
    })),
  };
}

/** With its applications, wanted and actual. */
export async function elementDetail(ports: TsmPorts, element: Element): Promise<object> {
  const placements = await allRows(ports.store, 'placements', { parent: element.id });
  const applications = await Promise.all(
    placements.map(async (placement) => {
      const application = await needRow(ports.store, 'applications', placement.applicationId);
      return placementView(element, placement, application);
    }),
  );
  return { ...elementView(element), applications, reading: element.reading };
}

export function jobView(job: Job): object {
  return { ...job, serial: job.parent };
}

export function scriptView(script: Script): object {
  return { ...script, serial: script.parent };
}

export function applicationView(application: Application): object {
  return { ...application, providerId: application.parent };
}

export function providerView(provider: Provider): object {
  return provider;
}

export function versionView(version: ApplicationVersion): object {
  const { parent, signature } = version;
  return { ...version, applicationId: parent, signatureKind: signature?.kind ?? null };
}
