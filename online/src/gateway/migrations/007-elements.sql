-- What elements attest: by which code, under which parameters, and how often they have spoken.

ALTER TABLE elements ADD COLUMN certificate_pem text;
ALTER TABLE elements ADD COLUMN last_payment_counter bigint NOT NULL DEFAULT 0;
-- {reason, note, atMs} while it is locked.
ALTER TABLE elements ADD COLUMN lock jsonb;
-- Each payment moves its element's counter: room on the page keeps the update off the indexes.
ALTER TABLE elements SET (fillfactor = 50);

-- Load files by their SHA-256. One that was revoked is never accepted again.
CREATE TABLE load_files (
  hash text PRIMARY KEY CHECK (hash ~ '^[0-9A-F]{64}$'),
  name text NOT NULL,
  state text NOT NULL CHECK (state IN ('accepted', 'revoked')),
  accepted_at_ms bigint NOT NULL,
  revoked_at_ms bigint,
  note text
);

-- Signed sets; the highest version is the one in force.
CREATE TABLE parameter_sets (
  version bigint PRIMARY KEY CHECK (version > 0),
  minimum_version bigint NOT NULL CHECK (minimum_version BETWEEN 0 AND version),
  body text NOT NULL,
  signature text NOT NULL,
  published_at_ms bigint NOT NULL,
  published_by text NOT NULL
);

-- Null of a payment that was made before elements attested.
ALTER TABLE payments ADD COLUMN attestation_counter bigint;
-- Written with its payment by one statement; never changed. No element attests twice by one counter.
CREATE TABLE payment_attestations (
  element_id text NOT NULL,
  counter bigint NOT NULL,
  statement text NOT NULL,
  signature text NOT NULL,
  PRIMARY KEY (element_id, counter)
);
