/** `tapnpay verify-vectors`: every published vector through the code that uses it. */
import { join } from 'node:path';
import { verifyVectors as verify } from '@tapnpay/protocol/node';
import type { Command } from '../command.ts';
import { projectRoot } from '../system/layout.ts';

export const verifyVectors: Command = {
  summary: {
    en: 'check every published test vector and list mismatches',
    zh: '逐条验证公开的测试向量，列出不符的项',
  },
  usage: 'usage: tapnpay verify-vectors [--json]',
  options: {},
  run: async (values) => {
    const report = verify(join(projectRoot, 'vectors'));
    if (values['json']) {
      process.stdout.write(`${JSON.stringify(report)}\n`);
    } else {
      for (const mismatch of report.mismatches) {
        process.stdout.write(`MISMATCH ${JSON.stringify(mismatch)}\n`);
      }
      for (const { id, why } of report.skipped) process.stdout.write(`skipped ${id}: ${why}\n`);
      process.stdout.write(`${report.passed} of ${report.total} vectors verified\n`);
    }
    return report.mismatches.length === 0 ? 0 : 1;
  },
};
