//! What both syslog formats have: `<PRI>`, facilities and severities.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found};

const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Keyword of a severity number.
pub(crate) fn severity(number: usize) -> Option<&'static str> {
    SEVERITIES.get(number).copied()
}

/// Whether it is the keyword of one.
pub(super) fn is_severity(word: &str) -> bool {
    SEVERITIES.contains(&word)
}

/// `<PRI>`, 0 to 191 without leading zeros; sets severity and facility.
pub(crate) fn pri(at: &mut Cursor<'_>, found: &mut Found<'_>) -> Option<()> {
    let mut ahead = *at;
    if !ahead.skip("<") {
        return None;
    }
    let digits = ahead.run(|byte| byte.is_ascii_digit());
    let number: usize = digits.parse().ok().filter(|_| digits.len() <= 3)?;
    let plain = digits.len() == 1 || !digits.starts_with('0');
    let facility = FACILITIES.get(number / 8).filter(|_| plain)?;
    if !ahead.skip(">") {
        return None;
    }
    found.severity = severity(number % 8).map(Cow::Borrowed);
    found.fields.push("facility", Value::String(Cow::Borrowed(facility)));
    *at = ahead;
    Some(())
}
