//! Trace context: which request of whom a record came from. It rides in a header of the record, from the gateway to the
//! outputs of every job; jobs do not see it, and it is no part of a line's identity.

use std::fmt;

use crate::id::is_hex;

/// Name of the header, of HTTP requests and of records.
pub const HEADER: &str = "traceparent";

/// What [W3C Trace Context](https://www.w3.org/TR/trace-context/) calls `traceparent`, version 00.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext([u8; TraceContext::LEN]);

impl TraceContext {
    const LEN: usize = 55;

    /// Reads the header. Of a later version what version 00 has is kept, as the recommendation asks; `None` for anything
    /// that is not valid: such a header is to be ignored.
    pub fn parse(value: &[u8]) -> Option<TraceContext> {
        let own: [u8; TraceContext::LEN] = value.get(..TraceContext::LEN)?.try_into().ok()?;
        let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
        let (version, rest) = (&own[..2], &value[TraceContext::LEN..]);
        let known = match version {
            b"00" => rest.is_empty(),
            b"ff" => false,
            _ => is_hex(version) && matches!(rest.first(), None | Some(b'-')),
        };
        let dashes = [2, 35, 52].iter().all(|at| own[*at] == b'-');
        let valid = known && dashes && is_id(&own[3..35]) && is_id(&own[36..52]) && is_hex(&own[53..]);
        valid.then(|| {
            let mut own = own;
            own[..2].copy_from_slice(b"00");
            TraceContext(own)
        })
    }

    /// The header's value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "TraceContext({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid_is_kept_and_nothing_else() {
        let read = |text: &str| TraceContext::parse(text.as_bytes()).map(|own| own.to_string());
        assert_eq!(read(OWN).as_deref(), Some(OWN));
        let later = OWN.replacen("00", "cc", 1);
        assert_eq!(read(&later).as_deref(), Some(OWN), "a later version");
        assert_eq!(read(&format!("{later}-what-comes")).as_deref(), Some(OWN));
        for wrong in [
            "",
            &OWN[..54],
            &format!("{OWN}-x"),
            &format!("{later}x"),
            &OWN.replacen("00", "ff", 1),
            &OWN.to_uppercase(),
            &OWN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &OWN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &OWN.replace("-01", "-0g"),
            &OWN.replace('-', "_"),
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
