//! Times as logs write them; what stays the same within a second is made once a second.

use chrono::DateTime;

#[derive(Debug, Clone, Default)]
pub(crate) struct Stamp {
    second: Option<i64>,
    micros: u32,
    /// `22/Nov/2026:09:00:00 +0000`
    apache: String,
    /// `2026-11-22T09:00:00`
    iso: String,
    /// `Nov 22 09:00:00`
    bsd: String,
    /// `2026-11-22 09:00:00`
    plain: String,
}

impl Stamp {
    pub(crate) fn set(&mut self, micros: i64) {
        let second = micros.div_euclid(1_000_000);
        self.micros = micros.rem_euclid(1_000_000) as u32;
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        let time = DateTime::from_timestamp(second, 0).unwrap_or_default();
        self.apache = time.format("%d/%b/%Y:%H:%M:%S +0000").to_string();
        self.iso = time.format("%Y-%m-%dT%H:%M:%S").to_string();
        self.bsd = time.format("%b %e %H:%M:%S").to_string();
        self.plain = time.format("%Y-%m-%d %H:%M:%S").to_string();
    }

    pub(crate) fn apache(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.apache.as_bytes());
    }

    pub(crate) fn bsd(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bsd.as_bytes());
    }

    /// With `digits` digits of the second's fraction, at most 6, and `Z`.
    pub(crate) fn iso(&self, digits: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.iso.as_bytes());
        out.push(b'.');
        self.fraction(digits, out);
        out.push(b'Z');
    }

    /// As container runtimes write it: nine digits.
    pub(crate) fn nanos(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.iso.as_bytes());
        out.push(b'.');
        self.fraction(6, out);
        out.extend_from_slice(b"000Z");
    }

    /// As Java's loggers write it: `2026-11-22 09:00:00,000`.
    pub(crate) fn java(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.plain.as_bytes());
        out.push(b',');
        self.fraction(3, out);
    }

    fn fraction(&self, digits: usize, out: &mut Vec<u8>) {
        let mut unit = 100_000;
        for _ in 0..digits.min(6) {
            out.push(b'0' + (self.micros / unit % 10) as u8);
            unit /= 10;
        }
    }
}
