//! Durable acknowledgements per second, against decoding alone.

fn main() {}
