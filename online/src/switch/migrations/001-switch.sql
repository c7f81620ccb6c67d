-- The switch's journal. Amounts are minor units, times are milliseconds since 1970, settlement
-- dates YYYYMMDD. No clear card number, track or field 55: what a reversal repeats, advices and
-- answers are sealed.

CREATE TABLE transactions (
  transaction_id text PRIMARY KEY,
  member_id text NOT NULL,
  acquirer_id text NOT NULL,
  stan text NOT NULL,
  transmission text NOT NULL,
  terminal_id text NOT NULL,
  -- null: no kind that is switched, or a reversal before its original
  kind text,
  -- null: a reversal that came before its original, which it bars
  body_digest text,
  -- null: surely nothing was sent to an issuer
  destination text,
  retrieval_reference text,
  merchant_id text,
  amount_minor bigint,
  currency text,
  pan_masked text,
  sealed_original text,
  -- the transaction that field 90 names
  original_id text REFERENCES transactions,
  -- the approved void, cancellation or completion that ended this one
  ended_by text REFERENCES transactions,
  state text NOT NULL CHECK (state IN ('sent', 'answered', 'unknown', 'reversing', 'reversed')),
  response_code text,
  approval_code text,
  sealed_answer text,
  reason text,
  late_response_code text,
  settlement_date text NOT NULL CHECK (settlement_date ~ '^[0-9]{8}$'),
  reversal_date text CHECK (reversal_date >= settlement_date),
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  UNIQUE (transmission, stan, acquirer_id, terminal_id, member_id)
);
CREATE INDEX transactions_sent ON transactions (created_at_ms) WHERE state = 'sent';
-- Rows come in the order of their days: a summary a page range is enough, and costs nothing.
CREATE INDEX transactions_day ON transactions USING brin (settlement_date);
CREATE INDEX transactions_reversal_day ON transactions (reversal_date)
  WHERE reversal_date IS NOT NULL;
-- A transaction ends once; after the void of its completion a pre-authorisation may end again. The
-- list is kinds.ts#ENDING_KINDS.
CREATE UNIQUE INDEX transactions_ended_once ON transactions (original_id)
  WHERE state = 'answered' AND response_code = '00' AND ended_by IS NULL AND kind IN
    ('saleVoid', 'preAuthorisationCancel', 'completionAdvice', 'completionVoid');

-- Blocks of trace numbers; a process takes a block and counts inside it.
CREATE SEQUENCE stan_blocks;

-- What members are owed until they acknowledge; one message at most for each transaction.
CREATE TABLE advices (
  advice_id text PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL CHECK (kind IN ('reversal', 'advice', 'notice', 'cutOff')),
  transaction_id text UNIQUE REFERENCES transactions,
  order_key text NOT NULL,
  destination text NOT NULL,
  stan text NOT NULL,
  transmission text NOT NULL,
  reason text NOT NULL,
  settlement_date text NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'stuck')),
  attempts integer NOT NULL DEFAULT 0,
  refusals integer NOT NULL DEFAULT 0 CHECK (refusals <= attempts),
  next_at_ms bigint NOT NULL,
  settled_at_ms bigint,
  response_code text,
  CHECK ((kind = 'cutOff') = (transaction_id IS NULL)),
  CHECK ((state = 'settled') = (settled_at_ms IS NOT NULL))
);
-- The bound at 0 keeps this index from being taken where the other one is meant, by a planner that
-- has not seen a sudden queue yet.
CREATE INDEX advices_due ON advices (destination, next_at_ms)
  WHERE state = 'open' AND next_at_ms >= 0;
CREATE INDEX advices_order ON advices (order_key, destination, sequence) WHERE state = 'open';
CREATE INDEX advices_stuck ON advices (sequence) WHERE state = 'stuck';
-- A cut-off is announced once to each member.
CREATE UNIQUE INDEX advices_cut_off ON advices (destination, settlement_date, reason)
  WHERE kind = 'cutOff';

-- Final is final, and no move leaves the table of model.ts#TRANSACTION_MOVES.
CREATE FUNCTION check_transaction_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'sent>answered', 'sent>unknown', 'sent>reversing', 'answered>reversing', 'answered>reversed',
    'unknown>reversing', 'unknown>reversed', 'reversing>reversed'
  ) THEN
    RAISE EXCEPTION 'a transaction cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER transaction_move BEFORE UPDATE OF state ON transactions
  FOR EACH ROW EXECUTE FUNCTION check_transaction_move();

-- A transaction shows what ended it, from the approval until that is reversed. The end of an end (a
-- completion's void) frees the first original, and its reversal binds it again.
CREATE FUNCTION mark_original() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first_id text;
BEGIN
  IF NEW.state = 'answered' AND NEW.response_code = '00' THEN
    UPDATE transactions SET ended_by = NEW.transaction_id
    WHERE transaction_id = NEW.original_id RETURNING original_id INTO first_id;
    UPDATE transactions SET ended_by = NULL
    WHERE transaction_id = first_id AND ended_by = NEW.original_id;
  ELSIF NEW.state = 'reversed' THEN
    UPDATE transactions SET ended_by = NULL
    WHERE transaction_id = NEW.original_id AND ended_by = NEW.transaction_id AND NOT EXISTS (
      SELECT 1 FROM transactions other
      WHERE other.transaction_id = transactions.original_id AND other.ended_by IS NOT NULL)
    RETURNING original_id INTO first_id;
    UPDATE transactions SET ended_by = NEW.original_id WHERE transaction_id = first_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER transaction_marks_original AFTER INSERT OR UPDATE OF state ON transactions
  FOR EACH ROW WHEN (NEW.original_id IS NOT NULL AND NEW.kind IN
    ('saleVoid', 'preAuthorisationCancel', 'completionAdvice', 'completionVoid'))
  EXECUTE FUNCTION mark_original();
