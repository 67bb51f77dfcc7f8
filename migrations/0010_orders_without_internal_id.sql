-- A call is about the order of its accounting number only while that order has no internal id yet, and such orders are few.
-- Without this index every order of the number was read, which for a till that sends the same number each time is all of them.
CREATE INDEX order_without_internal_id ON customer_order (shop, order_id, test) WHERE internal_id IS NULL AND order_id IS NOT NULL;
