//! The one test binary, by capability. Tests go through the front door: a real database file, real sockets, a clock that
//! is turned by hand (but for those that start or kill the real program).

mod far;
mod harness;

mod cli;
mod contract;
mod faults;
mod house;
mod model;
mod scenarios;
