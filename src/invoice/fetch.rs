//! stub
use crate::sink::TillHost;
use bytes::Bytes;
/// e
#[derive(Debug)]
pub enum FetchError {
    /// r
    Refused(String),
    /// f
    Failed(String),
}
/// f
pub async fn fetch(_hosts: &[TillHost], _url: &str) -> Result<Bytes, FetchError> {
    Err(FetchError::Failed("x".into()))
}
