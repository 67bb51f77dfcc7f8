//! Far sides that do as a test says: what lies outside this machine, played by a script on a real socket.

pub mod foreign;
pub mod http;
pub mod raw;
pub mod smtp;
pub mod till_api;
pub mod tls;
