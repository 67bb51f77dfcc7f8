//! Bytes in hexadecimal: how digests and random names are written everywhere.

use std::fmt::Write as _;

/// Two small digits for each byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(hex([0, 0x0a, 0xff]), "000aff");
        assert_eq!(hex([]), "");
    }
}
