-- The day that an order counts for in the books, on the shop's wall (YYYY-MM-DD): value date, else validation, else arrival.
-- It is in the snapshot too; here it has an index, so that a month of a million orders is found without reading them.
ALTER TABLE customer_order ADD COLUMN booked_on TEXT;
UPDATE customer_order SET booked_on = (
    SELECT substr(coalesce(e.data ->> '$.dates.value', e.data ->> '$.dates.validated', e.data ->> '$.dates.received'), 1, 10)
    FROM event e WHERE e.id = customer_order.last_event);
CREATE INDEX order_by_day ON customer_order (shop, booked_on) WHERE test = 0 AND booked_on IS NOT NULL;
-- Whether a number that looks missing is with us all the same is asked of `order_by_order_id`.

-- A summary that was made for a sink, of one shop's days, both included. Number 0 is the summary itself, the others are
-- made when something changed afterwards, or on purpose: that none is made twice is up to the key, not to a clock.
CREATE TABLE digest (
    id        TEXT PRIMARY KEY,
    sink      TEXT NOT NULL,
    shop      TEXT NOT NULL,
    first_day TEXT NOT NULL,
    last_day  TEXT NOT NULL,
    number    INTEGER NOT NULL,
    why       TEXT NOT NULL,
    event_id  TEXT NOT NULL,
    at        INTEGER NOT NULL,
    -- The newest event when its orders were read: what is newer is no part of it, whatever the clock said.
    seen      INTEGER NOT NULL,
    UNIQUE (sink, shop, first_day, last_day, number)
) STRICT;

-- An order as a summary counted it (JSON, nothing personal): what a later correction is compared with, and what the files
-- of the summary are made of.
CREATE TABLE digest_line (
    digest    TEXT NOT NULL,
    order_key TEXT NOT NULL,
    booking   TEXT NOT NULL,
    PRIMARY KEY (digest, order_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX digest_line_by_order ON digest_line (order_key);

-- Since when summaries of a shop are made for a sink in this cadence: none is made of what was due before.
CREATE TABLE digest_plan (
    sink    TEXT NOT NULL,
    shop    TEXT NOT NULL,
    cadence TEXT NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (sink, shop)
) STRICT, WITHOUT ROWID;

-- Above its limit a sink gets no single messages from then until then, but a summary.
ALTER TABLE sink_state ADD COLUMN limited_since INTEGER;
ALTER TABLE sink_state ADD COLUMN limited_until INTEGER;
CREATE INDEX delivery_untold ON delivery (sink) WHERE skipped_because = 'limit';

-- Its one row is there from the first row that an erasure empties until the file is rewritten without it.
CREATE TABLE erasure_under_way (
    id INTEGER PRIMARY KEY CHECK (id = 1)
) STRICT;
