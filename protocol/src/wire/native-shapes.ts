/** Shapes of the frames of the native port, for either side; chunks are joined before. */
import {
  agentMessageShape,
  elementStatusShape,
  readersShape,
  windowOutputShape,
} from './agent-output-shapes.ts';
import { pageMessageShape, windowMessageShape } from './agent-shapes.ts';
import { doctorReportShape } from './doctor.ts';
import type { NativeHostFrame, NativePage, NativeProtocol, NativeWorkerFrame } from './native.ts';
import type { NativeChunk } from './native-chunks.ts';
import { countShape, objectShape, type Shape, textShape, unionShape } from './shape.ts';

/** Highest version of the frames and number of a tab or a frame. */
const PROTOCOL_MAX = 65_535;
const version = textShape(64, /^[0-9A-Za-z.+-]+$/);
const protocol: Shape<NativeProtocol> = objectShape<NativeProtocol>({
  min: countShape(PROTOCOL_MAX),
  max: countShape(PROTOCOL_MAX),
});
const page: Shape<NativePage> = objectShape<NativePage>({
  // An origin as a browser serialises it; `null` is an opaque one.
  origin: textShape(256, /^(?:null|[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+)$/),
  tabId: (value, path) => (value === -1 ? -1 : countShape()(value, path)),
  frameId: countShape(),
});
const empty = objectShape<Record<never, never>>({});

/** A joined frame of the host. */
export const nativeHostFrameShape: Shape<Exclude<NativeHostFrame, NativeChunk>> = unionShape<
  Exclude<NativeHostFrame, NativeChunk>
>({
  hello: objectShape({ version, protocol, element: elementStatusShape, readers: readersShape }),
  page: objectShape({ message: agentMessageShape }),
  window: objectShape({ message: windowOutputShape }),
  report: objectShape({ report: doctorReportShape }),
});

/** A joined frame of the worker. */
export const nativeWorkerFrameShape: Shape<Exclude<NativeWorkerFrame, NativeChunk>> = unionShape<
  Exclude<NativeWorkerFrame, NativeChunk>
>({
  hello: objectShape({ version, protocol, page }),
  page: objectShape({ message: pageMessageShape }),
  window: objectShape({ message: windowMessageShape }),
  windowOpened: empty,
  windowClosed: empty,
  doctor: empty,
});
