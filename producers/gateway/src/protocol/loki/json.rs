//! The JSON form: `{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {…}], …]}]}`, line by line: a tree of all of it
//! would take many times its bytes (I10).

use std::borrow::Cow;
use std::fmt;

use super::{Entry, Lines, Pairs, PushError};
use crate::item::{MAX_ATTRIBUTES, Malformed};
use crate::json::{self, kind};

/// A stream of the push, and a value of it.
#[derive(Clone, Copy)]
struct Place(usize, usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "streams[{}].values[{}]", self.0, self.1)
    }
}

pub(super) fn read<'a>(body: &'a [u8], lines: &mut Lines<'a>) -> Result<(), PushError> {
    let broken = |error: String| Malformed(format!("the push is not JSON: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| broken(error.to_string()))?;
    let push = json::whole(text).map_err(broken)?;
    let [streams] = json::named(push, ["streams"]).map_err(|_| not(&"the push", push, "an object"))?;
    let streams = streams.ok_or_else(|| Malformed::new("streams is missing"))?;
    for (at, stream) in json::elements(streams).map_err(|_| not(&"streams", streams, "an array"))?.enumerate()
    {
        let (path, stream) = (format!("streams[{at}]"), stream.map_err(broken)?);
        let found = json::named(stream, ["stream", "values"]);
        let [labels, values] = found.map_err(|_| not(&path, stream, "an object"))?;
        let labels = labels.map(|labels| pairs(&format!("{path}.stream"), labels, true)).transpose()?;
        let flow = lines.flow(labels.unwrap_or_default());
        let values = values.ok_or_else(|| Malformed(format!("{path}.values is missing")))?;
        let entries = json::elements(values);
        let entries = entries.map_err(|_| not(&format!("{path}.values"), values, "an array"))?;
        for (number, value) in entries.enumerate() {
            lines.take(&flow, entry(Place(at, number), value.map_err(broken)?)?)?;
        }
    }
    Ok(())
}

fn entry(place: Place, value: &str) -> Result<Entry<'_>, Malformed> {
    let malformed = || Malformed(format!("{place} is not [time, line] or [time, line, metadata]"));
    let mut parts = json::elements(value).map_err(|_| malformed())?;
    let mut part = || parts.next().transpose().map_err(Malformed);
    let (Some(time), Some(line), metadata, None) = (part()?, part()?, part()?, part()?) else {
        return Err(malformed());
    };
    let text =
        |at: usize, value| json::string(value).ok_or_else(|| not(&format!("{place}[{at}]"), value, "text"));
    let time = text(0, time)?;
    let nanos = time.parse().ok().or_else(|| sized(&time)).ok_or_else(|| {
        Malformed(format!("{place}[0] is {:?}, not nanoseconds since the epoch", short(&time)))
    })?;
    let line = match text(1, line)? {
        Cow::Borrowed(line) => Cow::Borrowed(line.as_bytes()),
        Cow::Owned(line) => Cow::Owned(line.into_bytes()),
    };
    let metadata = metadata.map(|metadata| pairs(&format!("{place}[2]"), metadata, false)).transpose()?;
    Ok(Entry { nanos, line, metadata: metadata.unwrap_or_default() })
}

/// Nanoseconds of a number with a point or an exponent: seconds, milliseconds, microseconds or nanoseconds by its size. A whole
/// number is always nanoseconds.
fn sized(text: &str) -> Option<i64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if unsigned.is_empty() || !plain(unsigned) || !plain(fraction) {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let scaled = |unit: i128| {
        let number = digits.checked_mul(unit)?;
        if exponent < 0 { Some(number.div_euclid(power)) } else { number.checked_mul(power) }
    };
    let size = scaled(1)?.unsigned_abs();
    let unit = [(1 << 31, 1_000_000_000), (1_000 << 31, 1_000_000), (1_000_000 << 31, 1_000)];
    let unit = unit.into_iter().find(|(below, _)| size < *below).map_or(1, |(_, unit)| unit);
    scaled(unit)?.try_into().ok()
}

/// Of a label any value is taken, other than text as it is written; in metadata only text is. One pair too many is enough for a
/// line to be refused.
fn pairs<'a>(path: &str, object: &'a str, any: bool) -> Result<Pairs<'a>, Malformed> {
    let members = json::members(object).map_err(|_| not(&path, object, "an object"))?;
    let pair = |member: Result<(Cow<'a, str>, &'a str), String>| {
        let (name, value) = member.map_err(Malformed)?;
        let value = match kind(value) {
            "text" => json::string(value),
            _ if any => Some(Cow::Borrowed(value)),
            _ => None,
        }
        .ok_or_else(|| not(&format!("{path}.{}", short(&name)), value, "text"))?;
        Ok((name, value))
    };
    members.take(MAX_ATTRIBUTES + 1).map(pair).collect()
}

fn not(path: &dyn fmt::Display, is: &str, wanted: &str) -> Malformed {
    Malformed(format!("{path} is {}, not {wanted}", kind(is)))
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
