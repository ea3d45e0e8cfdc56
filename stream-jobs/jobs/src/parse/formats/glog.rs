//! Google's log lines: `I20210131 14:48:54.411655 15520 main.c++:9] message` (glog), and without year (klog).

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Civil, Clock, clock as time_of_day, digits, fraction};

/// Reads both; the year is there where the date has eight digits.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let text = text.trim_ascii_end();
    let mut at = Cursor::new(text);
    at.at = text.len() - text.trim_ascii_start().len();
    let mut found = Found::default();
    let severity = match at.peek() {
        Some(b'I') => "info",
        Some(b'W') => "warning",
        Some(b'E') => "error",
        Some(b'F') => "fatal",
        _ => return Err(at.stop("I, W, E or F")),
    };
    found.severity = Some(Cow::Borrowed(severity));
    at.at += 1;
    let stop = at.stop("a date of four or eight digits and a time");
    let (micros, len) = time(at.rest().as_bytes(), clock).ok_or(stop)?;
    found.time = Some(micros);
    at.at += len;
    at.run(|byte| byte == b' ');
    let thread =
        at.run(|byte| byte.is_ascii_digit()).parse().map_err(|_| at.stop("the number of a thread"))?;
    found.fields.push("thread", Value::Long(thread));
    at.expect(" ", "a blank after the thread")?;
    let rest = at.rest();
    let end = memchr::memmem::find(rest.as_bytes(), b"]").ok_or(at.stop("]"))?;
    let (file, line) = rest[..end].rsplit_once(':').ok_or(at.stop("file:line"))?;
    found.text("file", file);
    let line = line.parse().map_err(|_| at.stop("file:line"))?;
    found.fields.push("line", Value::Long(line));
    at.at += end + 1;
    at.skip(" ");
    found.message = Some(Cow::Borrowed(at.rest()));
    Ok(found)
}

fn time(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let n_digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let with_year = n_digits == 8;
    if !(with_year || n_digits == 4) || bytes.get(n_digits) != Some(&b' ') {
        return None;
    }
    let (month, day) = (digits(bytes, n_digits - 4, 2)?, digits(bytes, n_digits - 2, 2)?);
    let (hour, minute, second) = time_of_day(bytes, n_digits + 1)?;
    let (micro, end) = match bytes.get(n_digits + 9) {
        Some(b'.') => fraction(bytes, n_digits + 9),
        _ => (0, n_digits + 9),
    };
    let civil = Civil { year: 0, month, day, hour, minute, second, micro, offset: 0 };
    let micros = match with_year {
        true => clock.zone.micros(&Civil { year: digits(bytes, 0, 4)?, ..civil })?,
        false => clock.guess_year(civil)?,
    };
    Some((micros, end))
}
