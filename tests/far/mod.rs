//! Far sides that do as a test says: what lies outside this machine, played by a script on a real socket.

pub mod http;
// The mail sink's own tests use more of it.
#[allow(dead_code)]
pub mod smtp;
