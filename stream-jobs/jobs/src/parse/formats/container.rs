//! Lines of containers: CRI (Kubernetes) and Docker's json-file.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, Form, Zone, rfc3339, whole};

/// `2016-10-06T00:17:09.669794202Z stdout F message`
pub(crate) fn cri(text: &str) -> Result<Found<'_>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    let (micros, len) =
        rfc3339(text.as_bytes(), Form::Lenient, &Zone::UTC).ok_or(at.stop("a time as in RFC 3339"))?;
    found.time = Some(micros);
    at.at += len;
    at.expect(" ", "a blank after the time")?;
    let stream = at.until(b' ');
    if !matches!(stream, "stdout" | "stderr") {
        return Err(Stopped::new(len + 1, "stdout or stderr"));
    }
    found.text("stream", stream);
    at.expect(" ", "a blank after the stream")?;
    let tag = at.until(b' ');
    if !matches!(tag.split(':').next(), Some("F" | "P")) {
        return Err(at.stop("F or P"));
    }
    if tag.starts_with('P') {
        found.flags.push("partial");
    }
    at.skip(" ");
    found.message = Some(Cow::Borrowed(at.rest()));
    Ok(found)
}

/// `{"log":"message\n","stream":"stdout","time":"…"}`, with attributes as fields.
pub(crate) fn docker<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut found = super::json::fields(text)?;
    let mut take = |name: &str| {
        let at = found.fields.0.iter().position(|(own, _)| own == name)?;
        match found.fields.0.remove(at).1 {
            Value::String(text) => Some(text),
            _ => None,
        }
    };
    let log = take("log").ok_or(Stopped::new(0, "a member \"log\" with a text"))?;
    let time = take("time");
    found.time = time.and_then(|time| whole(&time, clock));
    if !log.ends_with('\n') {
        found.flags.push("partial");
    }
    found.message = Some(match log {
        Cow::Borrowed(log) => Cow::Borrowed(log.strip_suffix('\n').unwrap_or(log)),
        Cow::Owned(log) => Cow::Owned(log.strip_suffix('\n').unwrap_or(&log).to_owned()),
    });
    Ok(found)
}
