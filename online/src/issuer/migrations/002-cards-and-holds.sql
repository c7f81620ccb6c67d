-- Money that pre-authorisations hold, what cards spend by day, and what operators do to cards.

CREATE TABLE holds (
  hold_id text PRIMARY KEY REFERENCES requests,
  account_id text NOT NULL REFERENCES accounts,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  held_minor bigint NOT NULL CHECK (held_minor >= 0),
  posted_minor bigint NOT NULL CHECK (posted_minor >= 0),
  state text NOT NULL CHECK (state IN ('held', 'posted', 'released', 'expired')),
  expires_at_ms bigint NOT NULL,
  CONSTRAINT holds_within_authorised CHECK (held_minor + posted_minor <= amount_minor),
  CHECK ((state = 'held') = (held_minor > 0)),
  CHECK (state = 'posted' OR posted_minor = 0)
);
CREATE INDEX holds_expiry ON holds (expires_at_ms) WHERE state = 'held';

-- What is held of an account is a projection of its holds.
CREATE FUNCTION apply_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before bigint := CASE WHEN TG_OP = 'UPDATE' THEN OLD.held_minor ELSE 0 END;
BEGIN
  IF NEW.held_minor <> before THEN
    UPDATE accounts SET held_minor = held_minor + NEW.held_minor - before
      WHERE account_id = NEW.account_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER hold_applied AFTER INSERT OR UPDATE ON holds
  FOR EACH ROW EXECUTE FUNCTION apply_hold();
CREATE TRIGGER holds_kept BEFORE DELETE OR TRUNCATE ON holds
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- What counts to a card's limits on one day of China; undone payments are taken out again.
CREATE TABLE card_days (
  card_id text NOT NULL REFERENCES cards,
  day text NOT NULL CHECK (day ~ '^[0-9]{8}$'),
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  count integer NOT NULL CHECK (count >= 0),
  no_pin_minor bigint NOT NULL CHECK (no_pin_minor >= 0),
  PRIMARY KEY (card_id, day)
);

-- Numbers that are refused wherever they appear, with field 39 of the answer.
CREATE TABLE hot_list (
  pan_lookup text PRIMARY KEY,
  pan_masked text NOT NULL,
  reason text NOT NULL CHECK (reason IN ('41', '43', '04', '62')),
  listed_at_ms bigint NOT NULL
);

-- What a person must look at.
CREATE TABLE work_items (
  item_id text PRIMARY KEY,
  kind text NOT NULL,
  trace_key text NOT NULL REFERENCES requests,
  card_id text REFERENCES cards,
  amount_minor bigint NOT NULL,
  currency text NOT NULL,
  note text NOT NULL,
  opened_at_ms bigint NOT NULL,
  closed_at_ms bigint
);
CREATE INDEX work_items_open ON work_items (opened_at_ms) WHERE closed_at_ms IS NULL;

-- Who changed a card or the hot list, and why; written once.
CREATE TABLE admin_audit (
  audit_id text PRIMARY KEY,
  at_ms bigint NOT NULL,
  actor text NOT NULL CHECK (actor <> ''),
  note text NOT NULL CHECK (note <> ''),
  action text NOT NULL,
  subject text NOT NULL,
  before text NOT NULL,
  after text NOT NULL
);
CREATE INDEX admin_audit_time ON admin_audit (at_ms);
CREATE TRIGGER admin_audit_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_audit
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
