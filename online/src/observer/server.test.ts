/** Shows that the server gives a trace to whoever knows the order's id, not to who counts. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { collectTrace, startObserver } from './index.ts';
import { CONTACT, folderOf, ORDER, PAYMENT, REFERENCE } from './observer.test-kit.ts';

test('no trace for a retrieval reference, which anybody can guess', async () => {
  const folder = folderOf(CONTACT);
  const { dataDir } = folder;
  assert.ok(collectTrace(dataDir, REFERENCE), 'it does lead to the payment');
  const observer = await startObserver({ dataDir, port: 0, pagesDir: join(dataDir, 'none') });
  try {
    const ask = async (id: string): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${observer.port}/v1/traces/${id}`);
      await answer.arrayBuffer();
      return answer.status;
    };
    assert.equal(await ask(REFERENCE), 404);
    assert.equal(await ask(ORDER), 200);
    assert.equal(await ask(PAYMENT), 200);
  } finally {
    await observer.close();
    folder.remove();
  }
});
