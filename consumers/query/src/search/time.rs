//! Times as queries and answers write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};

/// Reads RFC 3339, a date, a date and time without zone (UTC), or microseconds since the epoch.
pub(super) fn parse(text: &str) -> Option<i64> {
    if let Ok(micros) = text.parse() {
        return Some(micros);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    let date: NaiveDate = text.parse().ok()?;
    Some(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros())
}

/// RFC 3339 with microseconds, UTC; the number itself where the calendar ends.
pub(crate) fn show(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => micros.to_string(),
    }
}
