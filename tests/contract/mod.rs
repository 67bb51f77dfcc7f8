//! Every sentence of the contract's §5, one test each.

mod per_order;
