/** One seed: a world of three institutions, payers and faults, from its start to its books. */
import { readBooks, type ThreeBooks } from './books.ts';
import { BUGS } from './bugs.ts';
import type { ChannelWorld } from './channel.ts';
import { checkBooks, type Finding, unfinished } from './check.ts';
import { checkDays, openDays } from './check-days.ts';
import { checkEvents, untold } from './check-events.ts';
import { CALM, drawCalendar, drawWeather, FaultCounts, type Weather } from './faults.ts';
import { History } from './history.ts';
import { LeakDetector } from './leaks.ts';
import { PARTIES } from './life.ts';
import { Merchant } from './merchant.ts';
import { Parties } from './parties.ts';
import { Payer } from './payer.ts';
import { NOON_MS, SeededRandom, VirtualClock } from './seeded.ts';
import type { SimSystem } from './system.ts';

/** Virtual time in which the lines must come up. */
const START_MS = 60_000;
/** Orders of one world. */
const ORDERS = [4, 9] as const;
/** Virtual time in which orders come up. */
const BUSY_MS = 60_000;
/** Virtual time until the faults end. */
const FAULTY_MS = 150_000;
/** Virtual time in which everything must come to rest once the faults have ended. */
const REST_MS = 30 * 60_000;
const REST_STEP_MS = 5_000;
const CUT_MS = [200, 12_000] as const;
const LATE_NOTIFICATION_MS = [0, 40_000] as const;
const OUTAGE_MS = [500, 20_000] as const;
/** 23:00 in Shanghai on the day of `NOON_MS`. */
const CUT_OFF_MS: number = NOON_MS + 11 * 3_600_000;
/** Fields 32 and 41 of the simulated gateway. */
const ACQUIRER = { acquirer: '49990000001', terminal: 'TAP00001' };
const HISTORY_LINES_MAX = 80;

/** What one seed came to; plain data, so that it crosses threads. */
export type SeedResult = {
  readonly seed: number;
  readonly bug: string;
  /** Digest of the whole history. */
  readonly digest: string;
  readonly findings: readonly Finding[];
  /** How it came, for the first finding. */
  readonly story: readonly string[];
  readonly payments: number;
  /** Payments by final state, and taps by what the payer was told. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Payments by interface and final state. */
  readonly interfaces: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
};

/** Runs one seed. */
export async function simulate(
  system: SimSystem,
  seed: number,
  bugName = 'none',
): Promise<SeedResult> {
  const world = await startWorld(system, seed, bugName);
  const { base, parties, merchant, storm } = world;
  const { clock, history, counts } = base;
  let isServed = false;
  world.set(storm);
  void runBusiness(base, merchant).then(() => {
    isServed = true;
  });
  scheduleFaults(base, parties, storm);
  await clock.run(FAULTY_MS);
  history.add('world', 'heal');
  world.set(CALM);
  parties.heal();
  for (const line of Object.values(parties.lines)) line.heal();
  for (const party of PARTIES) parties.run(party);
  const { told } = merchant;
  const read = (): Promise<ThreeBooks> =>
    readBooks(
      parties,
      [...told.ordersOfKey.values()].flatMap((ids) => [...ids]),
      ACQUIRER,
    );
  let books = await read();
  for (let restMs = 0; restMs < REST_MS; restMs += REST_STEP_MS) {
    await clock.run(REST_STEP_MS);
    books = await read();
    const left = [...unfinished(books), ...untold(books, told.receiver), ...openDays(books)];
    if (isServed && left.length === 0) break;
  }
  if (books.days.length > 1) counts.add('cut-off');
  world.leaks.lookAtBooks(books);
  const findings = [
    ...checkBooks(books, told),
    ...checkEvents(books, told.receiver),
    ...checkDays(books),
    ...world.leaks.findings,
  ];
  const outcomes = tally([
    ...books.payments.map(({ state }) => `payment ${state}`),
    ...books.wholes.flatMap(({ operations }) => operations).map(operationText),
    ...told.ends.map(({ outcome }) => `told ${outcome}`),
  ]);
  return {
    seed,
    bug: bugName,
    digest: history.digest(),
    findings: findings.map((finding) => ({ ...finding, what: shortened(history, finding.what) })),
    story: storyOf(history, findings[0]),
    payments: books.payments.length,
    outcomes,
    interfaces: tally(books.payments.map((payment) => `${payment.interface} ${payment.state}`)),
    faults: Object.fromEntries(counts.counts),
  };
}

function operationText({ kind, state }: { readonly kind: string; readonly state: string }): string {
  return `${kind} ${state}`;
}

type World = {
  readonly base: Base;
  readonly leaks: LeakDetector;
  readonly parties: Parties;
  readonly merchant: Merchant;
  readonly storm: Weather;
  readonly set: (weather: Weather) => void;
};

/** Everybody up, both lines established, in calm weather. */
async function startWorld(system: SimSystem, seed: number, bugName: string): Promise<World> {
  const bug = BUGS[bugName]?.();
  if (!bug) throw new Error(`there is no planted bug ${bugName}`);
  const random = new SeededRandom(seed);
  const storm = drawWeather(random);
  const calendar = drawCalendar(random);
  const { beforeCutOffMs } = calendar;
  const clock = new VirtualClock(beforeCutOffMs === null ? NOON_MS : CUT_OFF_MS - beforeCutOffMs);
  const leaks = new LeakDetector(system.payers.map(({ record }) => record.pan));
  const history = new History(clock, (line) => leaks.look('a log', line));
  let weather: Weather = CALM;
  let isOver = false;
  const base = { clock, random, history, counts: new FaultCounts(), weather: () => weather };
  const notify = (body: string): Promise<number> => {
    leaks.look('a notification', body);
    return deliver(base, body, (arrived) => merchant.notified(arrived));
  };
  const parties = new Parties({ ...base, system, bug, calendar, notify });
  const channels: ChannelWorld = { ...base, gateway: () => parties.gateway };
  const payers = system.payers.map((facts) => new Payer(channels, history, facts));
  const merchant: Merchant = new Merchant({
    world: channels,
    history,
    payers,
    isOver: () => isOver,
  });
  history.add('world', 'weather', { ...storm, ...calendar });
  await parties.start();
  await clock.run(START_MS, () => parties.isReady);
  const set = (next: Weather): void => {
    weather = next;
    isOver = next === CALM;
  };
  return { base, leaks, parties, merchant, storm, set };
}

/** The way of a notification to the shop: it may be lost, or its answer; twice, or late. */
async function deliver(
  { clock, random, counts, weather, history }: Base,
  body: string,
  arrive: (body: string) => Promise<number>,
): Promise<number> {
  const strike = (fault: string): void => {
    counts.add(fault);
    history.add('world', fault);
  };
  const { notifyLoss, notifyTwice, notifyLate } = weather();
  await clock.sleep(random.between(1, 200));
  if (random.chance(notifyLoss)) {
    strike('notification lost');
    throw new Error('no merchant');
  }
  if (random.chance(notifyLate)) {
    // The sender gives up on it, and it comes all the same.
    strike('notification late');
    clock.startTimer(random.between(...LATE_NOTIFICATION_MS), () => void arrive(body));
    throw new Error('the merchant is slow');
  }
  const status = await arrive(body);
  if (random.chance(notifyTwice)) {
    strike('notification twice');
    clock.startTimer(random.between(...LATE_NOTIFICATION_MS), () => void arrive(body));
  }
  if (!random.chance(notifyLoss)) return status;
  strike('notification answer lost');
  throw new Error('the answer is lost');
}

type Base = Omit<ChannelWorld, 'gateway'> & { readonly history: History };

async function runBusiness({ clock, random }: Base, merchant: Merchant): Promise<void> {
  const orders = random.between(...ORDERS);
  await Promise.all(
    Array.from({ length: orders }, async (_, index) => {
      await clock.sleep(random.between(0, BUSY_MS));
      await merchant.serve(index + 1);
    }),
  );
}

/** Kills and cuts at drawn moments of the faulty time. */
function scheduleFaults({ clock, random }: Base, parties: Parties, storm: Weather): void {
  const atRate = (everySeconds: number, strike: () => void): void => {
    if (everySeconds === 0) return;
    let atMs = 0;
    for (;;) {
      atMs += random.between(1, 2_000 * everySeconds);
      if (atMs > FAULTY_MS - 5_000) return;
      clock.startTimer(atMs, strike);
    }
  };
  for (const party of PARTIES) {
    atRate(storm.killEverySeconds, () => parties.kill(party, 'anywhere'));
  }
  for (const line of Object.values(parties.lines)) {
    atRate(storm.cutEverySeconds, () => line.cut(random.between(...CUT_MS)));
  }
  for (const party of PARTIES) {
    atRate(storm.outageEverySeconds, () => parties.outage(party, random.between(...OUTAGE_MS)));
  }
  for (const member of ['gateway', 'issuer'] as const) {
    atRate(storm.keyChangeEverySeconds, () => parties.changeKeys(member));
  }
}

function tally(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function shortened(history: History, text: string): string {
  return text.replace(UUID, (id) => history.name(id));
}

function storyOf(history: History, finding: Finding | undefined): readonly string[] {
  if (!finding) return [];
  const words = finding.about.filter((word) => word !== '').map((word) => shortened(history, word));
  return history.about(words, HISTORY_LINES_MAX);
}
