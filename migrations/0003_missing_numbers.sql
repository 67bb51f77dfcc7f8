-- How far the numbers of a shop's orders were looked at, and the sequences that were seen (a JSON list of first and last).
CREATE TABLE number_watch (
    shop      TEXT PRIMARY KEY,
    -- The newest event that was looked at.
    seen      INTEGER NOT NULL,
    sequences TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- An order that is not with us: a number that a sequence left open. The row goes when the order arrives.
CREATE TABLE missing_order (
    shop    TEXT NOT NULL,
    number  TEXT NOT NULL,
    -- What betrayed it: 'numbers', 'reconciliation'.
    source  TEXT NOT NULL,
    -- When it was noticed, and when somebody was told.
    since   INTEGER NOT NULL,
    told_at INTEGER,
    PRIMARY KEY (shop, number)
) STRICT, WITHOUT ROWID;

-- When a shop's till last said something, and whether somebody was told that it has been silent since.
CREATE TABLE till_word (
    shop    TEXT PRIMARY KEY,
    -- The newest event that was looked at.
    seen    INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    told_at INTEGER
) STRICT, WITHOUT ROWID;
