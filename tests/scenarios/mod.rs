//! What happens to the whole service: a day's sales, outages, far sides that lie, customers with hostile names.

mod answers;
mod forty_orders;
mod outage;
