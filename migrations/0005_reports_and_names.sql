-- The till's own reports that go with a summary, byte for byte as the till gave them: every attempt sends the same. The
-- till is asked once; it may answer otherwise the next time.
CREATE TABLE digest_report (
    digest  TEXT NOT NULL,
    -- The word of `also_attach`: 'till.pdf', …
    kind    TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (digest, kind)
) STRICT;

-- What the till calls its cash boxes and delivery methods, for people: 'Caisse 1 – Comptoir' in place of 1. Never a person.
CREATE TABLE till_name (
    shop TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('cash_box', 'delivery_method')),
    id   TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (shop, kind, id)
) STRICT, WITHOUT ROWID;
