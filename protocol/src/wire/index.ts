/** Messages of our own wires, their frames and shapes, and the `Hop` table. */
export * from './agent.ts';
export * from './agent-shapes.ts';
export * from './channel.ts';
export * from './channel-shapes.ts';
export * from './element.ts';
export * from './element-shapes.ts';
export * from './frames.ts';
export * from './hop.ts';
export * from './host-call.ts';
export * from './hsm.ts';
export * from './page-headers.ts';
export * from './pay.ts';
export * from './shape.ts';
export * from './shop.ts';
export * from './trace.ts';
export * from './utf8.ts';
