//! MySQL's and MariaDB's log of slow queries: heads behind `# `, one or several in an entry, then the statement, which is the message.
//!
//! Numbers of the heads are fields under their names, in small letters: `query_time`, `rows_examined`. The time is that of `# Time:`,
//! else that of `SET timestamp`.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Found, Places, Stopped};
use crate::parse::time::{Clock, whole};

/// Whether a line is one of these heads.
pub(crate) fn is_like(text: &str) -> bool {
    ["# Time: ", "# User@Host: ", "# Query_time: "].iter().any(|head| text.starts_with(head))
}

/// Reads an entry, or a line of one.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    if !is_like(text) {
        return Err(Stopped::new(0, "# Time:, # User@Host: or # Query_time:"));
    }
    let mut found = Found::default();
    let mut places = Places::default();
    let mut rest = text;
    while let Some(own) = rest.strip_prefix("# ") {
        let (line, next) = own.split_once('\n').unwrap_or((own, ""));
        rest = next;
        if let Some(time) = line.strip_prefix("Time: ") {
            found.time = whole(time, clock).or(found.time);
        } else if let Some(who) = line.strip_prefix("User@Host: ") {
            who_asked(who, &mut found);
        } else {
            numbers(line, &mut places, &mut found);
        }
    }
    if let Some((seconds, next)) = rest.strip_prefix("SET timestamp=").and_then(|own| own.split_once(';')) {
        found.time = found.time.or_else(|| whole(seconds, clock));
        rest = next.trim_ascii_start();
    }
    if !rest.trim_ascii().is_empty() {
        found.message = Some(Cow::Borrowed(rest.trim_ascii()));
    }
    Ok(found)
}

/// `root[root] @ localhost [10.0.0.1]  Id:     8`
fn who_asked<'t>(who: &'t str, found: &mut Found<'t>) {
    let (user, rest) = who.split_once('[').unwrap_or((who, ""));
    if !user.trim().is_empty() {
        found.user = Some(Cow::Borrowed(user.trim()));
    }
    let Some((_, host)) = rest.split_once('@') else { return };
    let (name, rest) = host.split_once('[').unwrap_or((host, ""));
    let (address, rest) = rest.split_once(']').unwrap_or(("", rest));
    for own in [address, name.trim()].into_iter().filter(|own| !own.is_empty()).take(1) {
        found.text("client", own);
    }
    if let Some(Ok(thread)) = rest.split_once("Id:").map(|(_, id)| id.trim().parse()) {
        found.fields.push("thread", Value::Long(thread));
    }
}

/// `Query_time: 2.000123  Lock_time: 0.000042 Rows_sent: 1`
fn numbers<'t>(line: &'t str, places: &mut Places<'t>, found: &mut Found<'t>) {
    let mut words = line.split_ascii_whitespace();
    while let Some(name) = words.next() {
        let (Some(name), Some(value)) = (name.strip_suffix(':'), words.next()) else { continue };
        let name = Cow::Owned(name.to_ascii_lowercase());
        let long = value.parse().ok().map(Value::Long);
        let double = || value.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Double);
        let value = long.or_else(double).unwrap_or(Value::String(Cow::Borrowed(value)));
        if places.of(&name, &found.fields).is_none() {
            found.fields.push(name, value);
        }
    }
}
