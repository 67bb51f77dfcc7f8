//! Far sides that do as a test says: what lies outside this machine, played by a script on a real socket.

pub mod http;
pub mod raw;
#[allow(dead_code, reason = "the mail sink's own tests use the rest")]
pub mod smtp;
