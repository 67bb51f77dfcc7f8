//! `%2C` → `,`: the escapes of forms and addresses.

/// The bytes of a text in which `%XX` stands for one, each with whether it was escaped. A `%` that no two hexadecimal digits
/// follow stands for itself.
pub(super) fn bytes(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        if byte == b'%'
            && let [high, low, behind @ ..] = after
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = behind;
            return Some((high << 4 | low, true));
        }
        rest = after;
        Some((byte, false))
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
