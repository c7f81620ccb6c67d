/** Shapes of the messages between an element's agent and its manager. */
import {
  countShape,
  hexShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
  unionShape,
} from './shape.ts';
import {
  TSM_BATCH_COMMANDS_MAX,
  TSM_BATCHES_MAX,
  TSM_COMMAND_BYTES_MAX,
  TSM_NONCE_BYTES,
  TSM_WISHES_MAX,
  type TsmContactAnswer,
  type TsmContactRequest,
  type TsmWish,
} from './tsm.ts';

const JOBS_MAX = 64;
const SIGNATURE_BYTES = 64;
const SELECTED_STATUS_WORDS_MAX = 8;

const contactId = textShape(64, /^[0-9a-zA-Z-]+$/);
const batch = countShape(TSM_BATCHES_MAX);
const apdu = hexShape({ min: 2, max: TSM_COMMAND_BYTES_MAX });
const code = nullableShape(textShape(64, /^[A-Z0-9_]+$/));
const kind = textShape(32);

const wishList = listShape(
  objectShape<TsmWish>({
    wish: oneOfShape('install', 'remove'),
    applicationId: textShape(64, /^[a-z0-9-]+$/),
  }),
  TSM_WISHES_MAX,
);
/** None, when nothing is said of them. */
const wishes: Shape<readonly TsmWish[]> = (value, path) =>
  value === undefined ? [] : wishList(value, path);

/** What the agent says. */
export const tsmContactRequestShape: Shape<TsmContactRequest> = unionShape<TsmContactRequest>({
  hello: objectShape({}),
  begin: objectShape({
    contactId,
    signature: hexShape({ min: SIGNATURE_BYTES, max: SIGNATURE_BYTES }),
    wishes,
  }),
  answers: objectShape({ contactId, batch, answers: listShape(apdu, TSM_BATCH_COMMANDS_MAX) }),
});

/** What the manager says. */
export const tsmContactAnswerShape: Shape<TsmContactAnswer> = unionShape<TsmContactAnswer>({
  challenge: objectShape({
    contactId,
    nonce: hexShape({ min: TSM_NONCE_BYTES, max: TSM_NONCE_BYTES }),
  }),
  batch: objectShape({
    contactId,
    batch,
    steps: listShape(
      objectShape({
        command: apdu,
        allowed: listShape(hexShape({ min: 2, max: 2 }), SELECTED_STATUS_WORDS_MAX),
      }),
      TSM_BATCH_COMMANDS_MAX,
    ),
    progress: nullableShape(
      objectShape({
        ...{ jobId: textShape(64), kind, step: textShape(64) },
        ...{ done: countShape(), total: countShape() },
      }),
    ),
  }),
  end: objectShape({
    contactId,
    jobs: listShape(
      objectShape({
        ...{ jobId: textShape(64), kind, code },
        state: oneOfShape('done', 'failed', 'waiting'),
      }),
      JOBS_MAX,
    ),
  }),
});
