/** The public interface between an applet in its sandbox and the secure element. */
export * from './applet.ts';
export * from './host.ts';
