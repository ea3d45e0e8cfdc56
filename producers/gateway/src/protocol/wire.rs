//! Protobuf's wire format, as far as it takes to read a message part by part: a tree of all of it could take a hundred times
//! its bytes (I10). Pure.

use prost::Message;

use crate::item::Malformed;

/// Largest part that is read as one: a record, a resource, a line with what stands beside it.
pub(super) const MAX_PART: usize = 2 << 20;

/// The fields `known` of a message, which hold bytes, in their order; others are passed over.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    known: &'static [u64],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8], known: &'static [u64]) -> Fields<'a> {
        Fields { rest: message, known }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The next field; the inner `None` for one that is passed over.
    fn field(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        let key = self.varint()?;
        let (number, kind) = (key >> 3, key & 7);
        let known = self.known.contains(&number);
        let bytes = match kind {
            0 if !known => self.varint().map(|_| None),
            1 if !known => self.bytes(8).map(|_| None),
            5 if !known => self.bytes(4).map(|_| None),
            2 => {
                let length = self.varint()?;
                self.bytes(length).map(Some)
            }
            _ => None,
        }?;
        (number > 0).then_some(bytes.filter(|_| known).map(|bytes| (number, bytes)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.field() {
                Some(Some(found)) => return Some(Ok(found)),
                Some(None) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(Malformed::new("not the protobuf message that is expected here")));
                }
            }
        }
        None
    }
}

/// What stands under `number` of a message with the fields `known`.
pub(super) fn parts<'a>(
    message: &'a [u8],
    known: &'static [u64],
    number: u64,
) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
    let fields = Fields::of(message, known);
    fields.filter_map(move |field| match field {
        Ok((own, bytes)) => (own == number).then_some(Ok(bytes)),
        Err(error) => Some(Err(error)),
    })
}

/// A message that stands under `number` once; where it stands there several times, protobuf puts them together.
pub(super) fn one<M: Message + Default>(
    message: &[u8],
    known: &'static [u64],
    number: u64,
) -> Result<M, Malformed> {
    let mut merged = M::default();
    let mut size = 0;
    for part in parts(message, known, number) {
        let part = part?;
        size += part.len();
        if size > MAX_PART {
            return Err(Malformed(format!("a part of the request has more than {MAX_PART} bytes")));
        }
        merged.merge(part).map_err(|error| Malformed(format!("not protobuf: {error}")))?;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(message: &[u8]) -> String {
        let show = |field: Result<(u64, &[u8]), Malformed>| match field {
            Ok((number, bytes)) => format!("{number}:{}", String::from_utf8_lossy(bytes)),
            Err(_) => "!".to_owned(),
        };
        Fields::of(message, &[1, 2]).map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn known_fields_come_in_their_order_and_others_are_passed_over() {
        assert_eq!(show(b""), "");
        assert_eq!(show(b"\x12\x01b\x0a\x02aa\x12\x00"), "2:b 1:aa 2:");
        // A number, four and eight bytes, and bytes, all unknown.
        assert_eq!(show(b"\x18\xff\x01\x1d1234\x1912345678\x1a\x01x\x0a\x01a"), "1:a");
        for broken in [&b"\x0a\x02a"[..], b"\x08\x01", b"\x0a", b"{}", b"\x02\x00", b"\x1d123", &[0xff; 12]] {
            assert_eq!(show(broken), "!", "{broken:?}");
        }
        assert_eq!(show(b"\x0a\x01a\x0a\x09"), "1:a !");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_fields_or_an_error(bytes: Vec<u8>) {
            let found: usize = Fields::of(&bytes, &[1, 2]).flatten().map(|(_, part)| part.len() + 2).sum();
            proptest::prop_assert!(found <= bytes.len());
        }
    }
}
