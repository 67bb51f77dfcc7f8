-- How many bytes the till announced, where that is not how many came: such a call is never read as whole, also not when it is
-- read again.
ALTER TABLE receipt ADD COLUMN announced INTEGER;

-- How often the link of an invoice gave only the beginning of a PDF: after three times it is asked no more.
ALTER TABLE invoice ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0;
