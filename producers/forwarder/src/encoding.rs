//! From the bytes of a file to text in UTF-8 and back to how many bytes that was. Pure, and nothing is lost: what is no
//! character (half a surrogate pair) becomes the bytes that UTF-8 would have for it.

#[cfg(test)]
mod tests;

/// How the characters of a file are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or any bytes in which LF ends a line: kept as they are.
    #[default]
    Utf8,
    /// ISO 8859-1: each byte is the character of that number.
    Latin1,
    /// UTF-16 in the order that its mark tells, little-endian where there is none.
    Utf16,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

/// Length of the byte order mark.
pub(crate) const MARK: usize = 2;

impl Encoding {
    /// Names in a configuration.
    pub const NAMES: [(&'static str, Encoding); 5] = [
        ("utf-8", Encoding::Utf8),
        ("latin-1", Encoding::Latin1),
        ("utf-16", Encoding::Utf16),
        ("utf-16le", Encoding::Utf16Le),
        ("utf-16be", Encoding::Utf16Be),
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        Encoding::NAMES.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }

    /// The order of bytes, told by the first bytes of the file where it is not declared.
    pub(crate) fn resolve(self, first: &[u8]) -> Encoding {
        match (self, first) {
            (Encoding::Utf16, [0xfe, 0xff, ..]) => Encoding::Utf16Be,
            (Encoding::Utf16, _) => Encoding::Utf16Le,
            _ => self,
        }
    }

    /// Bytes of the mark at the beginning of a file, which are no text.
    pub(crate) fn mark(self, first: &[u8]) -> usize {
        let marked = match self {
            Encoding::Utf8 | Encoding::Latin1 => false,
            Encoding::Utf16Be => first.starts_with(&[0xfe, 0xff]),
            Encoding::Utf16 | Encoding::Utf16Le => first.starts_with(&[0xff, 0xfe]),
        };
        if marked { MARK } else { 0 }
    }

    /// Bytes of a file that at most make one byte of text.
    pub(crate) fn widest(self) -> usize {
        match self {
            Encoding::Utf8 | Encoding::Latin1 => 1,
            Encoding::Utf16 | Encoding::Utf16Le | Encoding::Utf16Be => 2,
        }
    }

    /// Appends `bytes` as text. Half a character at the end is left out, unless nothing follows any more (`last`).
    pub(crate) fn decode(self, bytes: &[u8], last: bool, out: &mut Vec<u8>) {
        match self {
            Encoding::Utf8 => out.extend_from_slice(bytes),
            Encoding::Latin1 => bytes.iter().for_each(|byte| put(u32::from(*byte), out)),
            Encoding::Utf16 | Encoding::Utf16Le => utf16(bytes, u16::from_le_bytes, last, out),
            Encoding::Utf16Be => utf16(bytes, u16::from_be_bytes, last, out),
        }
    }

    /// Bytes of the file that `text`, which this encoding gave, was made from.
    pub(crate) fn source_len(self, text: &[u8]) -> usize {
        let count = |is: fn(u8) -> bool| text.iter().filter(|byte| is(**byte)).count();
        match self {
            Encoding::Utf8 => text.len(),
            Encoding::Latin1 => count(|byte| byte & 0xc0 != 0x80),
            // One unit a character, two where UTF-8 has four bytes.
            Encoding::Utf16 | Encoding::Utf16Le | Encoding::Utf16Be => {
                2 * (count(|byte| byte & 0xc0 != 0x80) + count(|byte| byte >= 0xf0))
            }
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, last: bool, out: &mut Vec<u8>) {
    let mut units = bytes.chunks_exact(2).map(|pair| u32::from(unit([pair[0], pair[1]]))).peekable();
    while let Some(first) = units.next() {
        if !(0xd800..0xdc00).contains(&first) {
            put(first, out);
            continue;
        }
        match units.peek() {
            Some(second @ 0xdc00..0xe000) => {
                put(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), out);
                units.next();
            }
            None if !last => return,
            Some(_) | None => put(first, out),
        }
    }
}

/// One character as UTF-8; half of a surrogate pair in the same manner.
fn put(code: u32, out: &mut Vec<u8>) {
    let tail = |shift: u32| (code >> shift & 0x3f) as u8 | 0x80;
    match code {
        0..0x80 => out.push(code as u8),
        0x80..0x800 => out.extend_from_slice(&[(code >> 6) as u8 | 0xc0, tail(0)]),
        0x800..0x1_0000 => out.extend_from_slice(&[(code >> 12) as u8 | 0xe0, tail(6), tail(0)]),
        _ => out.extend_from_slice(&[(code >> 18) as u8 | 0xf0, tail(12), tail(6), tail(0)]),
    }
}
