//! What happens to the whole service: a day's sales, outages, far sides that lie, customers with hostile names.

mod forty_orders;
mod outage;
