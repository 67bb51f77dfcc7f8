//! Far sides that do as a test says: what lies outside this machine, played by a script on a real socket.

#![allow(dead_code, reason = "a far side can do more than each test binary asks of it")]

pub mod http;
pub mod raw;
pub mod smtp;
