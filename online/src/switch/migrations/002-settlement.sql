-- Settlement days. A day is booked when it is closed: each transaction and each reversal of an
-- approved one belongs to exactly one day, whatever raced with the close.

CREATE TABLE days (
  settlement_date text PRIMARY KEY CHECK (settlement_date ~ '^[0-9]{8}$'),
  begun_at_ms bigint NOT NULL,
  closed_at_ms bigint
);

CREATE TABLE bookings (
  transaction_id text NOT NULL REFERENCES transactions,
  leg text NOT NULL CHECK (leg IN ('original', 'reversal')),
  settlement_date text NOT NULL REFERENCES days,
  PRIMARY KEY (transaction_id, leg)
);
CREATE INDEX bookings_day ON bookings (settlement_date, transaction_id, leg);

-- A closed day stays as its files say.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a booking is never changed' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER booking_is_final BEFORE UPDATE OR DELETE ON bookings
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
