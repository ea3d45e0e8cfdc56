//! Which keys of an object are its time, message, severity and user.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::formats::syslog;
use super::found::Found;
use super::time::{self, Clock};

/// What a key may stand for, and how early it is tried among its like.
fn role(name: &str) -> Option<(Role, usize)> {
    // Most names are none of these: that shows at their first byte.
    if !matches!(name.as_bytes(), [b'@' | b'l' | b'm' | b's' | b't' | b'u', ..]) {
        return None;
    }
    Some(match name {
        "time" => (Role::Time, 0),
        "timestamp" => (Role::Time, 1),
        "@timestamp" => (Role::Time, 2),
        "ts" => (Role::Time, 3),
        "message" => (Role::Message, 0),
        "msg" => (Role::Message, 1),
        "level" => (Role::Severity, 0),
        "severity" => (Role::Severity, 1),
        "lvl" => (Role::Severity, 2),
        "log.level" => (Role::Severity, 3),
        "user" => (Role::User, 0),
        "user_id" => (Role::User, 1),
        "userid" => (Role::User, 2),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Role {
    Time,
    Message,
    Severity,
    User,
}

/// Moves time, message, severity and user out of the fields, each unless it was found before.
pub(super) fn lift(found: &mut Found<'_>, clock: Clock<'_>) {
    let known =
        [found.time.is_some(), found.message.is_some(), found.severity.is_some(), found.user.is_some()];
    let mut best: [Option<(usize, usize)>; 4] = [None; 4];
    let mut time = None;
    for (at, (name, value)) in found.fields.0.iter().enumerate() {
        let Some((role, rank)) = role(name) else { continue };
        let better = !known[role as usize] && best[role as usize].is_none_or(|(_, own)| rank < own);
        if !better {
            continue;
        }
        let usable = match role {
            Role::Time => {
                let read = micros(value, clock);
                time = read.or(time);
                read.is_some()
            }
            Role::Message => matches!(value, Value::String(_)),
            Role::Severity => severity(value).is_some(),
            Role::User => user(value).is_some(),
        };
        if usable {
            best[role as usize] = Some((at, rank));
        }
    }
    let mut taken = [usize::MAX; 6];
    for (place, best) in taken.iter_mut().zip(best) {
        *place = best.map_or(usize::MAX, |(at, _)| at);
    }
    if found.time.or(time).is_none()
        && let Some((micros, places)) = in_two(found, clock)
    {
        time = Some(micros);
        taken[best.len()..].copy_from_slice(&places);
    }
    let value = |role: Role| best[role as usize].map(|(at, _)| &found.fields.0[at].1);
    let level = value(Role::Severity).and_then(severity);
    let name = value(Role::User).and_then(user);
    let message = match value(Role::Message) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    found.time = found.time.or(time);
    found.severity = found.severity.take().or(level);
    found.user = found.user.take().or(name);
    found.message = found.message.take().or(message);
    taken.sort_unstable();
    for at in taken.into_iter().rev().filter(|at| *at != usize::MAX) {
        found.fields.0.remove(at);
    }
}

/// A time in two fields, `date` and `time`, in the zone of a third one (`tz`, `timezone`) if there is one, which stays: µs, and where the
/// two stand. And the time of Linux's audit, which is in its message: `msg=audit(1485893834.891:18877199):`.
fn in_two(found: &Found<'_>, clock: Clock<'_>) -> Option<(i64, [usize; 2])> {
    let text = |name: &str| {
        let at = found.fields.0.iter().position(|(own, _)| own == name)?;
        match &found.fields.0[at].1 {
            Value::String(text) => Some((at, text.as_ref())),
            _ => None,
        }
    };
    if let (Some((at_date, date)), Some((at_time, of_day))) = (text("date"), text("time")) {
        const LONGEST: usize = 32;
        if date.len().max(of_day.len()) > LONGEST {
            return None;
        }
        let zone = text("tz").or_else(|| text("timezone")).filter(|(_, zone)| zone.len() <= LONGEST);
        let own = zone.and_then(|(_, zone)| time::whole(&format!("{date} {of_day} {zone}"), clock));
        let micros = own.or_else(|| time::whole(&format!("{date} {of_day}"), clock))?;
        return Some((micros, [at_date, at_time]));
    }
    let (_, message) = text("msg")?;
    // Where the message comes twice, both are in a list.
    let audit = message.trim_start_matches(['[', '"']).strip_prefix("audit(")?;
    let seconds = audit.split(':').next().filter(|seconds| seconds.len() < 20)?;
    time::whole(seconds, clock).filter(|micros| time::since(*micros)).map(|micros| (micros, [usize::MAX; 2]))
}

/// Smaller numbers (before 1973) are durations rather than times.
const EARLIEST: i64 = 100_000_000;

fn micros(value: &Value<'_>, clock: Clock<'_>) -> Option<i64> {
    match value {
        Value::String(text) => time::whole(text, clock),
        Value::Long(number) => (*number >= EARLIEST).then(|| time::epoch(*number)),
        Value::Double(number) => {
            (*number >= EARLIEST as f64).then(|| time::epoch_fraction(*number)).flatten()
        }
        Value::Boolean(_) => None,
    }
}

fn severity<'t>(value: &Value<'t>) -> Option<Cow<'t, str>> {
    match value {
        Value::String(name) if name.is_empty() => None,
        Value::String(name) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some(Cow::Owned(name.to_ascii_lowercase()))
        }
        Value::String(name) => Some(name.clone()),
        // Syslog's numbers, and those of Bunyan and Pino.
        Value::Long(number @ 0..=7) => syslog::severity(*number as usize).map(Cow::Borrowed),
        Value::Long(number) => {
            let names =
                [(10, "trace"), (20, "debug"), (30, "info"), (40, "warn"), (50, "error"), (60, "fatal")];
            names.iter().find(|(own, _)| own == number).map(|(_, name)| Cow::Borrowed(*name))
        }
        Value::Double(_) | Value::Boolean(_) => None,
    }
}

fn user<'t>(value: &Value<'t>) -> Option<Cow<'t, str>> {
    match value {
        Value::String(name) => (!name.is_empty()).then(|| name.clone()),
        Value::Long(number) => Some(Cow::Owned(number.to_string())),
        Value::Double(_) | Value::Boolean(_) => None,
    }
}
