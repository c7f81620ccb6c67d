/** What `tap` prints for people: outcome first, then the hops, APDUs when asked for. */
import type { ApduRecord } from '@tapnpay/agent';
import { formatAmount } from '@tapnpay/protocol/bytes';
import type { HopName } from '@tapnpay/protocol/wire';
import type { TapDocument } from './document.ts';

const HOP_ZH: Readonly<Record<HopName, string>> = {
  order: '下单',
  ask: '发起',
  channel: '安全通道',
  tap: '读卡',
  check: '终端检查',
  cryptogram: '应用密文',
  seal: '封装',
  request: '请求',
  route: '转接',
  decide: '发卡行决定',
  return: '应答',
  finish: '卡片完成',
  confirm: '确认',
  tell: '通知',
};

const OUTCOME: Readonly<Record<TapDocument['outcome'], string>> = {
  approved: 'APPROVED 交易成功',
  declined: 'DECLINED 交易被拒绝',
  unknown: 'UNKNOWN, do not pay again 结果确认中,请勿重复支付',
  cancelled: 'CANCELLED, nothing was charged 已取消,未扣款',
};

/** A receipt-like summary. */
export function summaryText(document: TapDocument): string {
  const { card, issuer, cryptogram } = document;
  const code = document.responseCode === null ? '' : ` (${document.responseCode})`;
  const rows: [string, string | null][] = [
    [
      'amount 金额',
      `${formatAmount(BigInt(document.amountMinor), document.currency)} ${document.currency}`,
    ],
    ['reason 原因', document.reason],
    ['resolved 结果', document.resolution],
    ['card 卡', card && `${card.label} ${card.panMasked}`],
    ['order 订单', `${document.orderId} ${document.orderStatus}`],
    ['payment 支付', document.paymentId],
    ['ARQC', cryptogram.arqc && `${cryptogram.arqc} verified by issuer: ${issuer.arqcVerified}`],
    ['ARPC', cryptogram.arpc],
    [cryptogram.secondType ?? 'second AC', cryptogram.second],
    ['TVR / TSI / CVM', `${document.tvr} / ${document.tsi} / ${document.cvmResults}`],
    ['data authentication', document.dataAuthentication],
    [
      'channel',
      document.channel && `${document.channel.protocol}, mutual ${document.channel.mutual}`,
    ],
    ['time', `${document.totalMs} ms`],
  ];
  const shown = rows.filter(([, value]) => value !== null);
  return [
    `${OUTCOME[document.outcome]}${code}`,
    ...shown.map(([name, value]) => `  ${name.padEnd(20)} ${value}`),
  ].join('\n');
}

/** The 14 hops on a time line, with their masked facts. */
export function traceText(document: TapDocument, apdus: readonly ApduRecord[]): string {
  const hops = document.hops.map(({ n, name, party, ms, facts }) => {
    const when = ms === null ? '      -' : `${String(ms).padStart(5)} ms`;
    const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
    const label = `${name} ${HOP_ZH[name]}`;
    const row = [String(n).padStart(2), `${when} `, label.padEnd(18), party ?? '', ...told];
    return row.join(' ').trimEnd();
  });
  const exchanges = apdus.flatMap(({ number, command, response }) => [
    `${String(number).padStart(3)} => ${command}`,
    `    <= ${response}`,
  ]);
  return ['', 'hops 路径', ...hops, '', 'card 卡片 (masked)', ...exchanges].join('\n');
}
