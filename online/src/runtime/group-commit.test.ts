/**
 * Groups of durable steps: who shares one, what a bad row does to its neighbours, lost commits and
 * full queues. A scripted database answers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { GroupCommit, type GroupOptions } from './group-commit.ts';

/** A refusal as the server raises it. */
function refusal(): Error {
  const fault = new pg.DatabaseError('refused', 0, 'error');
  return Object.assign(fault, { severity: 'ERROR', code: '23514' });
}

/** Remembers its groups; each run ends when the test says so, or at once. */
function scripted(options: Partial<GroupOptions<string, string>> = {}) {
  const groups: string[][] = [];
  const ends: (() => void)[] = [];
  let isHeld = false;
  const group = new GroupCommit<string, string>({
    run: async (items) => {
      groups.push([...items]);
      if (isHeld) await new Promise<void>((done) => ends.push(done));
      if (items.some((item) => item.startsWith('bad'))) throw refusal();
      return items.map((item) => `${item}!`);
    },
    flightsMax: 1,
    ...options,
  });
  return {
    group,
    groups,
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      for (const end of ends.splice(0)) end();
    },
  };
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(done)));

test('one alone leaves at once; what comes meanwhile shares the next group, results in order', async () => {
  const { group, groups, hold, release } = scripted();
  hold();
  const first = group.submit('a');
  await turn();
  const others = ['b', 'c', 'd'].map((item) => group.submit(item));
  await turn();
  assert.deepEqual(groups, [['a']]);
  release();
  assert.deepEqual(await Promise.all([first, ...others]), ['a!', 'b!', 'c!', 'd!']);
  assert.deepEqual(groups, [['a'], ['b', 'c', 'd']]);
});

test('one bad row fails alone, wherever it stands among 64', async () => {
  for (const place of [0, 31, 63]) {
    const { group } = scripted();
    const items = Array.from({ length: 64 }, (_, index) => (index === place ? 'bad' : `${index}`));
    const ends = await Promise.allSettled(items.map((item) => group.submit(item)));
    for (const [index, end] of ends.entries()) {
      assert.equal(end.status, index === place ? 'rejected' : 'fulfilled', `${place} ${index}`);
    }
  }
});

test('a refused group is halved until each bad row stands alone', async () => {
  const { group, groups } = scripted();
  const items = ['a', 'bad1', 'bad2', 'b'];
  const ends = await Promise.allSettled(items.map((item) => group.submit(item)));
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(groups, [items, ['a', 'bad1'], ['a'], ['bad1'], ['bad2', 'b'], ['bad2'], ['b']]);
});

test('steps that share a key go one after another, in their order; others pass them', async () => {
  const { group, groups } = scripted({ keysOf: (item) => [item.charAt(0)], flightsMax: 2 });
  await Promise.all(['x1', 'x2', 'y1', 'x3', 'y2'].map((item) => group.submit(item)));
  assert.deepEqual(groups, [['x1', 'y1'], ['x2', 'y2'], ['x3']]);
});

test('a lost commit is looked for: what happened is told, what did not is the error', async () => {
  const lost = new Error('connection terminated');
  let runs = 0;
  const group = new GroupCommit<string, string>({
    run: () => {
      runs += 1;
      return Promise.reject(lost);
    },
    find: async (item) => (item === 'there' ? 'found' : null),
  });
  const ends = await Promise.allSettled([group.submit('there'), group.submit('gone')]);
  assert.deepEqual(ends, [
    { status: 'fulfilled', value: 'found' },
    { status: 'rejected', reason: lost },
  ]);
  assert.equal(runs, 1, 'it may have happened: it is not run again');
});

test('steps of a lost group are looked for side by side: one slow look delays no other', async () => {
  const lost = new Error('connection terminated');
  const looks: string[] = [];
  const group = new GroupCommit<string, string>({
    run: () => Promise.reject(lost),
    find: (item) => {
      looks.push(item);
      return item === 'slow' ? new Promise(() => undefined) : Promise.resolve('found');
    },
  });
  void group.submit('slow');
  assert.equal(await Promise.race([group.submit('quick'), turn().then(turn)]), 'found');
  assert.deepEqual(looks, ['slow', 'quick']);
});

test('a lost commit that cannot be looked for is told as it is', async () => {
  const lost = new Error('connection terminated');
  const group = new GroupCommit<string, string>({
    run: () => Promise.reject(lost),
    find: () => Promise.reject(new Error('no connection either')),
  });
  await assert.rejects(group.submit('a'), lost);
});

test('too many waiting are refused at once, and there is room again later', async () => {
  const { group, hold, release } = scripted({ waitingMax: 2 });
  hold();
  const first = group.submit('a');
  await turn();
  const waiting = [group.submit('b'), group.submit('c')];
  await assert.rejects(group.submit('d'), { code: 'ERR_DATABASE_BUSY' });
  release();
  assert.deepEqual(await Promise.all([first, ...waiting]), ['a!', 'b!', 'c!']);
  assert.equal(await group.submit('d'), 'd!');
});

test('a run that gives too few results fails its steps instead of mixing them up', async () => {
  const group = new GroupCommit<string, string>({ run: async () => ['only one'] });
  const ends = await Promise.allSettled([group.submit('a'), group.submit('b')]);
  assert.ok(ends.every(({ status }) => status === 'rejected'));
});

test('a group has its limit', async () => {
  const { group, groups } = scripted({ itemsMax: 3 });
  await Promise.all(Array.from({ length: 7 }, (_, index) => group.submit(String(index))));
  assert.deepEqual(
    groups.map(({ length }) => length),
    [3, 3, 1],
  );
});
