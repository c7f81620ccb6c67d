/** One seed: a world of three institutions, payers and faults, from its start to its books. */
import { BUGS } from './bugs.ts';
import type { ChannelWorld } from './channel.ts';
import { checkBooks, type Finding, isAtRest, readBooks } from './check.ts';
import { CALM, drawWeather, FaultCounts, type Weather } from './faults.ts';
import { History } from './history.ts';
import { PARTIES } from './life.ts';
import { Merchant } from './merchant.ts';
import { Parties } from './parties.ts';
import { Payer } from './payer.ts';
import { SeededRandom, VirtualClock } from './seeded.ts';
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
  for (const line of Object.values(parties.lines)) line.heal();
  for (const party of PARTIES) parties.run(party);
  const { told } = merchant;
  for (let restMs = 0; restMs < REST_MS; restMs += REST_STEP_MS) {
    await clock.run(REST_STEP_MS);
    if (isServed && isAtRest(await readBooks(parties, told))) break;
  }
  const books = await readBooks(parties, told);
  const findings = checkBooks(books, told);
  const outcomes = tally([
    ...books.payments.map(({ state }) => `payment ${state}`),
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

type World = {
  readonly base: Base;
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
  const clock = new VirtualClock();
  const history = new History(clock);
  const storm = drawWeather(random);
  let weather: Weather = CALM;
  let isOver = false;
  const base = { clock, random, history, counts: new FaultCounts(), weather: () => weather };
  const notify = async (body: string): Promise<number> => {
    await clock.sleep(random.between(1, 200));
    if (random.chance(weather.channelLoss)) throw new Error('no merchant');
    return merchant.notified(body);
  };
  const parties = new Parties({ ...base, system, bug, notify });
  const channels: ChannelWorld = { ...base, gateway: () => parties.gateway };
  const payers = system.payers.map((facts) => new Payer(channels, history, facts));
  const merchant: Merchant = new Merchant({
    world: channels,
    history,
    payers,
    isOver: () => isOver,
  });
  history.add('world', 'weather', { ...storm });
  await parties.start();
  await clock.run(START_MS, () => parties.isReady);
  const set = (next: Weather): void => {
    weather = next;
    isOver = next === CALM;
  };
  return { base, parties, merchant, storm, set };
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
