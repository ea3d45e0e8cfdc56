//! Types of fields.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::line::as_text;

/// A type, or a unit that a text is turned into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cast {
    Text,
    Long,
    Double,
    Boolean,
    /// `3.5GiB` as a number of bytes: `KiB` is 1,024, `kB` so many.
    Bytes(f64),
    /// `1m 30s` as a number of units of so many ns.
    Duration(f64),
}

/// ns of each, by all of its names.
const UNITS: [(&[&str], f64); 10] = [
    (&["ns", "nsec", "nsecs", "nano", "nanos", "nanosecond", "nanoseconds"], 1.0),
    (&["us", "µs", "μs", "usec", "usecs", "micro", "micros", "microsecond", "microseconds"], 1e3),
    (&["ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"], 1e6),
    (&["cs"], 1e7),
    (&["ds"], 1e8),
    (&["s", "sec", "secs", "second", "seconds"], 1e9),
    (&["m", "min", "mins", "minute", "minutes"], 6e10),
    (&["h", "hr", "hrs", "hour", "hours"], 3.6e12),
    (&["d", "day", "days"], 8.64e13),
    (&["w", "week", "weeks"], 6.048e14),
];

impl Cast {
    pub(super) const NAMES: &str = "string, long, double, boolean, bytes, bytes_binary, duration_ns, _us, _ms, _cs, _ds, _s, _m, _h, _d, _w";

    pub(crate) fn named(name: &str) -> Option<Cast> {
        Some(match name {
            "string" => Cast::Text,
            "long" | "int" | "integer" => Cast::Long,
            "double" | "float" => Cast::Double,
            "boolean" | "bool" => Cast::Boolean,
            "bytes" => Cast::Bytes(1000.0),
            "bytes_binary" => Cast::Bytes(1024.0),
            other => Cast::Duration(unit(other.strip_prefix("duration_")?)?),
        })
    }

    pub(crate) fn is_of(self, value: &Value<'_>) -> bool {
        matches!(
            (self, value),
            (Cast::Text, Value::String(_))
                | (Cast::Long, Value::Long(_))
                | (Cast::Double | Cast::Bytes(_) | Cast::Duration(_), Value::Double(_))
                | (Cast::Boolean, Value::Boolean(_))
        )
    }

    pub(crate) fn apply<'t>(self, value: &Value<'t>) -> Option<Value<'t>> {
        if self.is_of(value) {
            return Some(value.clone());
        }
        let text = as_text(value);
        let text = text.trim();
        match (self, value) {
            (Cast::Text, _) => Some(Value::String(as_text(value))),
            (Cast::Long, Value::Double(number)) => (number.fract() == 0.0).then(|| whole(*number)).flatten(),
            (Cast::Long, Value::Boolean(_)) => None,
            (Cast::Long, _) => long(text).map(Value::Long),
            (Cast::Double, Value::Long(number)) => Some(Value::Double(*number as f64)),
            (Cast::Double, _) => {
                text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Double)
            }
            (Cast::Boolean, _) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "on" | "1" => Some(Value::Boolean(true)),
                "false" | "f" | "no" | "n" | "off" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
            (Cast::Bytes(kilo), _) => bytes(text, kilo).map(Value::Double),
            (Cast::Duration(unit), _) => nanos(text).map(|nanos| Value::Double(nanos / unit)),
        }
    }
}

fn whole<'t>(number: f64) -> Option<Value<'t>> {
    (number.abs() < 9e18).then_some(Value::Long(number as i64))
}

/// Decimal, `0x2a`, `0b101`, `0o17`, and `017` as C has it.
fn long(text: &str) -> Option<i64> {
    // Most are short and decimal.
    if let [b'1'..=b'9', ..] = text.as_bytes()
        && text.len() < 19
    {
        return text
            .bytes()
            .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')));
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        Some("0b" | "0B") => (&digits[2..], 2),
        Some("0o" | "0O") => (&digits[2..], 8),
        Some(lead) if lead.starts_with('0') => (&digits[1..], 8),
        _ => (digits.strip_prefix('+').unwrap_or(digits), 10),
    };
    let signed = if negative { Cow::Owned(format!("-{digits}")) } else { Cow::Borrowed(digits) };
    let valid = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    i64::from_str_radix(&signed, radix).ok().filter(|_| valid)
}

fn unit(name: &str) -> Option<f64> {
    UNITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, nanos)| *nanos)
}

/// A number at the start and the letters behind it.
fn quantity(text: &str) -> Option<(f64, &str, &str)> {
    let digits = text.find(|own: char| !(own.is_ascii_digit() || own == '.')).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let letters = rest.find(|own: char| !own.is_alphabetic()).unwrap_or(rest.len());
    Some((number, &rest[..letters], rest[letters..].trim_start()))
}

fn bytes(text: &str, kilo: f64) -> Option<f64> {
    let (number, unit, rest) = quantity(text)?;
    let powers = "kmgtpe";
    let power = unit
        .chars()
        .next()
        .and_then(|own| powers.find(own.to_ascii_lowercase()))
        .map_or(0, |at| at as i32 + 1);
    let base = match unit.get(usize::from(power > 0)..)? {
        "iB" => 1024.0_f64,
        "B" | "" => kilo,
        _ => return None,
    };
    rest.is_empty().then(|| number * base.powi(power))
}

/// Sums that 64 bits do not hold are none: they are 584 years.
const MOST_NANOS: f64 = u64::MAX as f64;

/// `1m 30s`, `1 hour, 5 minutes`, `PT1M30S`, `01:02:03.5`; with a minus in front, less than none.
fn nanos(text: &str) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest.trim_start()));
    let sum = match text.strip_prefix('P') {
        Some(own) => iso8601(own)?,
        None => of_clock(text).or_else(|| sum(text, unit))?,
    };
    (sum < MOST_NANOS).then_some(sign * sum)
}

fn sum(mut text: &str, unit: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let mut sum = 0.0;
    loop {
        let (number, name, rest) = quantity(text)?;
        sum += number * unit(name)?;
        if rest.is_empty() {
            return Some(sum);
        }
        text = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// What stands behind the `P` of ISO 8601, but for years and months, which have no length.
fn iso8601(text: &str) -> Option<f64> {
    let of_days = |name: &str| {
        unit(match name {
            "W" => "w",
            "D" => "d",
            _ => return None,
        })
    };
    let of_seconds = |name: &str| {
        unit(match name {
            "H" => "h",
            "M" => "m",
            "S" => "s",
            _ => return None,
        })
    };
    let (days, seconds) = text.split_once('T').map_or((text, None), |(days, rest)| (days, Some(rest)));
    // The letter of the sum that follows belongs to no number: both parts are read by themselves.
    let days = if days.is_empty() && seconds.is_some() { Some(0.0) } else { sum(days, of_days) };
    Some(days? + seconds.map_or(Some(0.0), |own| sum(own, of_seconds))?)
}

/// `01:02:03.5`, `02:03`: hours, minutes and seconds.
fn of_clock(text: &str) -> Option<f64> {
    let (before, last) = text.rsplit_once(':')?;
    let digits = |own: &str| own.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = before.split_once(':').unwrap_or(("0", before));
    let seconds = last.split_once('.').map_or(last, |(whole, _)| whole);
    let parts = [hours, minutes, seconds];
    let valid =
        parts.iter().all(|own| !own.is_empty() && digits(own)) && minutes.len() < 3 && seconds.len() == 2;
    let (hours, minutes): (f64, f64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds: f64 = last.parse().ok()?;
    let valid = valid && seconds < 60.0 && (minutes < 60.0 || !before.contains(':'));
    valid.then_some(3.6e12 * hours + 6e10 * minutes + 1e9 * seconds)
}
