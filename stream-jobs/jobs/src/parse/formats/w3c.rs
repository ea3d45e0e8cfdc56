//! W3C extended log lines (IIS and others), the columns given by the source, since each line is read by itself.
//!
//! A line that begins with `#` is a directive: an event without fields, flag `directive`.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::apache::quoted;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, Layout, Zone};

/// Names of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct W3c {
    pub(crate) columns: Vec<String>,
}

impl W3c {
    pub(crate) fn read<'t>(&'t self, text: &'t str, received: i64) -> Result<Found<'t>, Stopped> {
        let mut found = Found::default();
        if text.starts_with('#') {
            found.flags.push("directive");
            return Ok(found);
        }
        let mut at = Cursor::new(text);
        let (mut date, mut time) = (None, None);
        for (number, column) in self.columns.iter().enumerate() {
            if number > 0 {
                at.run(|byte| byte == b'\t' || byte == b' ');
            }
            let stop = at.stop("as many columns as the source names");
            let value = match at.peek() {
                Some(b'"') => quoted(&mut at, "a text in quotes")?,
                Some(_) => at.run_any(|byte| byte != b' ' && byte != b'\t'),
                None => return Err(stop),
            };
            match column.as_str() {
                _ if value == "-" || value.is_empty() => {}
                "date" => date = Some(value),
                "time" => time = Some(value),
                name => {
                    if name == "cs-username" {
                        found.user = Some(Cow::Borrowed(value));
                    }
                    found.fields.push(name, typed(name, value));
                }
            }
        }
        if !at.rest().trim().is_empty() {
            return Err(at.stop("no more columns than the source names"));
        }
        // The format's times are UTC.
        let clock = Clock { received, zone: &Zone::UTC };
        found.time = match (date, time) {
            (Some(date), Some(time)) => {
                let layout = Layout::read("%Y-%m-%d %H:%M:%S%.f").map_err(|_| at.stop("a time"))?;
                let time = time.trim_matches('"');
                layout.micros(&format!("{} {time}", date.trim_matches('"')), clock)
            }
            (Some(value), None) | (None, Some(value)) => crate::parse::time::whole(value, clock),
            (None, None) => None,
        };
        Ok(found)
    }
}

fn typed<'t>(name: &str, value: &'t str) -> Value<'t> {
    let number =
        ["-status", "-bytes", "-port", "-substatus", "-win32-status"].iter().any(|end| name.ends_with(end))
            || matches!(
                name,
                "time-taken" | "time-to-first-byte" | "sc-content-len" | "count" | "bytes" | "cached"
            );
    let long = value.parse().ok().filter(|_| number).map(Value::Long);
    let double = || value.parse().ok().filter(|_| number).map(Value::Double);
    long.or_else(double).unwrap_or(Value::String(Cow::Borrowed(value)))
}
