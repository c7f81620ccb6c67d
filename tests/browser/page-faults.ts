/** `npm run page-faults`: the whole table of faults over the page without a plug-in. */
process.env['TAPNPAY_WHOLE_MATRIX'] = '1';
await import('./matrix.test.ts');
