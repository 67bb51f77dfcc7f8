//! Where everything is put together: the only module that knows all others.

pub mod demo;
