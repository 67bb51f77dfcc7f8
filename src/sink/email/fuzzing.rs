//! A door for the fuzz targets (`fuzz/`): a mail as it would go over the wire, without a mail server. No part of the
//! program's interface.

use super::{Letter, Payload, Reason, SinkError};

/// The MIME text of a mail sink's message.
///
/// # Errors
/// As when it is sent.
pub fn mime(payload: &Payload) -> Result<Vec<u8>, SinkError> {
    let letter: Letter =
        serde_json::from_str(&payload.body).map_err(|error| SinkError::reject(Reason::Local, error.to_string()))?;
    letter.to_mime(payload, &[], &[])
}
