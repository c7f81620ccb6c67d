/** The files of closed settlement days on disk: `<folder>/<date>/<role>-<institution>.csv`. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { type DayFileHead, type DayFileReport, DayFileWriter, readDayFile } from './day-file.ts';
import { SwitchError } from './errors.ts';
import type { Booking } from './model.ts';
import type { BookingPlace, SwitchStore } from './store.ts';

/** Bookings read at once. */
const PAGE = 1_000;
/** Closed days whose files a start looks for. */
const DAYS_MAX = 40;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Where the files come from and go to. */
export type DayFolderPorts = {
  readonly store: Pick<SwitchStore, 'days' | 'listBookings'>;
  /** `<dataDir>/switch/files`. */
  readonly folder: string;
  /** Institution number of the switch. */
  readonly switchId: string;
};

/** One file of a day. */
export type DayFileInFolder = DayFileReport & { readonly path: string };

/**
 * Writes the files of a closed day, all or none. When they are there already they must be the same,
 * byte for byte. @throws SwitchError `ERR_SWITCH_DAY` for a day that is not closed,
 * `ERR_SWITCH_FILE` when a file on the disk differs from the books.
 */
export async function writeDayFiles(
  ports: DayFolderPorts,
  settlementDate: string,
): Promise<readonly DayFileInFolder[]> {
  const days = await ports.store.days(Number.MAX_SAFE_INTEGER);
  const day = days.find((candidate) => candidate.settlementDate === settlementDate);
  if (!day || day.closedAtMs === null) {
    const text = `settlement date ${settlementDate} is not closed`;
    throw new SwitchError('ERR_SWITCH_DAY', text, { settlementDate });
  }
  const place = join(ports.folder, settlementDate);
  const draft = join(ports.folder, `.${settlementDate}.${process.pid}.new`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: FOLDER_MODE });
  try {
    await writeDraft(ports, settlementDate, draft);
    if (existsSync(place)) assertSame(place, draft);
    else renameSync(draft, place);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return listDayFiles(ports.folder, settlementDate);
}

/** Files of closed days that a crash, or a close by hand, left unwritten; the dates written. */
export async function writeMissingDayFiles(ports: DayFolderPorts): Promise<readonly string[]> {
  const missing = (await ports.store.days(DAYS_MAX))
    .filter(({ closedAtMs }) => closedAtMs !== null)
    .map(({ settlementDate }) => settlementDate)
    .filter((date) => !existsSync(join(ports.folder, date)));
  for (const settlementDate of missing) await writeDayFiles(ports, settlementDate);
  return missing;
}

/** The files of a day, each read back and proved. @throws SwitchError `ERR_SWITCH_FILE`. */
export function listDayFiles(folder: string, settlementDate: string): readonly DayFileInFolder[] {
  const place = join(folder, settlementDate);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .sort()
    .map((name) => {
      const path = join(place, name);
      return { ...readDayFile(readFileSync(path, 'utf8')), path };
    });
}

async function writeDraft(
  ports: DayFolderPorts,
  settlementDate: string,
  draft: string,
): Promise<void> {
  const files = new Map<string, DayFileWriter>();
  const append = (name: string, text: string): void =>
    appendFileSync(join(draft, name), text, { mode: FILE_MODE });
  let after: BookingPlace | null = null;
  for (;;) {
    const page: readonly Booking[] = await ports.store.listBookings({
      settlementDate,
      after,
      limit: PAGE,
    });
    const texts = new Map<string, string>();
    for (const booking of page) {
      for (const { role, institutionId } of readersOf(booking)) {
        const name = `${role}-${institutionId}.csv`;
        const head = { settlementDate, role, institutionId, switchId: ports.switchId };
        const file = files.get(name) ?? new DayFileWriter(head);
        const begin = files.has(name) ? '' : file.begin();
        files.set(name, file);
        texts.set(name, `${texts.get(name) ?? ''}${begin}${file.add(booking)}`);
      }
    }
    for (const [name, text] of texts) append(name, text);
    const last = page.at(-1);
    if (page.length < PAGE || !last) break;
    after = { transactionId: last.of.transactionId, leg: last.leg };
  }
  for (const [name, file] of files) append(name, file.end().text);
}

/** Who gets a booking to see. */
function readersOf({ of }: Booking): readonly Pick<DayFileHead, 'role' | 'institutionId'>[] {
  const acquirer = { role: 'acquirer', institutionId: of.memberId } as const;
  if (of.destination === null) return [acquirer];
  return [acquirer, { role: 'issuer', institutionId: of.destination }];
}

function assertSame(place: string, draft: string): void {
  const names = new Set([...readdirSync(place), ...readdirSync(draft)]);
  for (const name of names) {
    const [old, now] = [join(place, name), join(draft, name)];
    const isSame =
      existsSync(old) && existsSync(now) && readFileSync(old).equals(readFileSync(now));
    if (isSame) continue;
    const text = `${old} differs from the books; move it away and write the day again`;
    throw new SwitchError('ERR_SWITCH_FILE', text, { file: name });
  }
}
