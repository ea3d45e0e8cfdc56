//! Which keys of an object are its time, message, severity and user.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::formats::{level, syslog};
use super::found::Found;
use super::time::{self, Clock};

/// What a key may stand for, and how early it is tried among its like.
#[inline]
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

/// Ranks of the usual names are below this.
const USUAL: usize = 4;

/// Same of the names that loggers and services have for these in their own objects.
fn role_of_program(name: &str) -> Option<(Role, usize)> {
    let first = *name.as_bytes().first()?;
    Some(match (name.len(), first) {
        (1, b't') => (Role::Time, 12),
        (1, b's') => (Role::Letter, 0),
        (2, b'@') => match name {
            "@t" => (Role::Time, 4),
            "@m" => (Role::Message, 4),
            "@l" => (Role::Severity, 4),
            _ => return None,
        },
        (3, b'@') if name == "@mt" => (Role::Message, 6),
        (4, b'd') if name == "date" => (Role::Time, 11),
        (4, b'T') if name == "Time" => (Role::Time, 10),
        (5, b'_') if name == "_time" => (Role::Time, 10),
        (5, b'L') if name == "Level" => (Role::Severity, 9),
        (7, b't') if name == "t.$date" => (Role::Time, 4),
        (7, b'a') if name == "asctime" => (Role::Time, 5),
        (7, b'M') if matches!(name, "MESSAGE" | "Message") => (Role::Message, 4),
        (8, b'd') if name == "datetime" => (Role::Time, 5),
        (8, b'l') if name == "loglevel" => (Role::Severity, 5),
        (8, b'L') if name == "LogLevel" => (Role::Severity, 5),
        (8, b'P') if name == "PRIORITY" => (Role::Severity, 8),
        (8, b'S') if name == "Severity" => (Role::Severity, 9),
        (8, b'u') if matches!(name, "username" | "userName") => (Role::User, 5),
        (9, b'u') if matches!(name, "user.name" | "user_name") => (Role::User, 4),
        (9, b'e') if name == "eventTime" => (Role::Time, 6),
        (9, b'E') if name == "EventTime" => (Role::Time, 6),
        (9, b'T') if name == "Timestamp" => (Role::Time, 9),
        (9, b'l') if matches!(name, "log_level" | "levelname") => (Role::Severity, 5),
        (10, b'e') if name == "event_time" => (Role::Time, 6),
        (10, b't') if matches!(name, "timeMillis" | "time_local") => (Role::Time, 7),
        (10, b'l') if name == "level_name" => (Role::Severity, 5),
        (11, b'T') if name == "TimeCreated" => (Role::Time, 8),
        (11, b't') if name == "textPayload" => (Role::Message, 4),
        (12, b's' | b'S') if matches!(name, "severityText" | "SeverityText") => (Role::Severity, 6),
        (12, b't') if name == "time_iso8601" => (Role::Time, 7),
        (13, b's') => match name {
            "severity_text" => (Role::Severity, 6),
            "short_message" => (Role::Message, 4),
            _ => return None,
        },
        (13, b'T') if name == "TimeGenerated" => (Role::Time, 8),
        (13, b'u') if name == "user.username" => (Role::User, 5),
        (14, b'e') if name == "eventTimestamp" => (Role::Time, 8),
        (15, b'e') if name == "event_timestamp" => (Role::Time, 8),
        (15, b'R') if name == "RenderedMessage" => (Role::Message, 4),
        (20, b'_') if name == "__REALTIME_TIMESTAMP" => (Role::Time, 9),
        (21, b'u') if name == "userIdentity.userName" => (Role::User, 6),
        (24, b'r') if name == "requestReceivedTimestamp" => (Role::Time, 9),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Role {
    Time,
    Message,
    Severity,
    User,
    /// MongoDB's level.
    Letter,
}

/// Moves time, message, severity and user out of the fields, each unless it was found before.
pub(super) fn lift(found: &mut Found<'_>, clock: Clock<'_>) {
    lift_by(found, clock, |_| None);
}

/// Same out of an object or pairs that a program wrote, which has more names for them. Times and users of those stay fields, too.
pub(super) fn lift_of_program(found: &mut Found<'_>, clock: Clock<'_>) {
    lift_by(found, clock, role_of_program);
}

/// `other` has names beside the usual ones, which come before them.
fn lift_by(found: &mut Found<'_>, clock: Clock<'_>, other: impl Fn(&str) -> Option<(Role, usize)>) {
    let known =
        [found.time.is_some(), found.message.is_some(), found.severity.is_some(), found.user.is_some()];
    let mut best: [Option<(usize, usize)>; 4] = [None; 4];
    let (mut time, mut settled) = (None, false);
    for (at, (name, value)) in found.fields.0.iter().enumerate() {
        // Where time, message and severity have their usual names, nothing else but a user is looked for.
        let looked = !settled || name.starts_with('u');
        let Some((role, rank)) = role(name).or_else(|| if looked { other(name) } else { None }) else {
            continue;
        };
        let (role, rank) = match role {
            Role::Letter if letter(value).is_some() => (Role::Severity, usize::MAX),
            Role::Letter => continue,
            role => (role, rank),
        };
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
            Role::Letter => false,
        };
        if usable {
            best[role as usize] = Some((at, rank));
            let is_usual = |place: &Option<(usize, usize)>| place.is_some_and(|(_, rank)| rank < USUAL);
            settled = best[..Role::User as usize].iter().all(is_usual);
        }
    }
    let mut taken = [usize::MAX; 6];
    // A time or a user of another name stays a field: steps of sources may ask for it.
    let stays = [Role::Time, Role::User].map(|role| role as usize);
    for (role, (place, best)) in taken.iter_mut().zip(best).enumerate() {
        let moved = best.filter(|(_, rank)| *rank < USUAL || !stays.contains(&role));
        *place = moved.map_or(usize::MAX, |(at, _)| at);
    }
    if found.time.or(time).is_none()
        && let Some((micros, places)) = in_two(found, clock)
    {
        time = Some(micros);
        taken[best.len()..].copy_from_slice(&places);
    }
    let value = |role: Role| best[role as usize].map(|(at, _)| &found.fields.0[at].1);
    let is_letter = matches!(best[Role::Severity as usize], Some((_, usize::MAX)));
    let level =
        value(Role::Severity).and_then(|value| if is_letter { letter(value) } else { severity(value) });
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
/// two stand. And the time of Log4j's objects, in parts, and of Linux's audit, which is in its message: `msg=audit(1485893834.891:18877199):`.
fn in_two(found: &Found<'_>, clock: Clock<'_>) -> Option<(i64, [usize; 2])> {
    let text = |name: &str| {
        let at = found.fields.0.iter().position(|(own, _)| own == name)?;
        match &found.fields.0[at].1 {
            Value::String(text) => Some((at, text.as_ref())),
            _ => None,
        }
    };
    let long = |name: &str| match found.fields.find(name) {
        Some(Value::Long(number)) => Some(*number),
        _ => None,
    };
    // Log4j writes both parts of an instant.
    if let (Some(seconds), Some(nanos)) = (long("instant.epochSecond"), long("instant.nanoOfSecond")) {
        let micros = seconds.checked_mul(1_000_000)?.checked_add(nanos / 1000)?;
        return Some((micros, [usize::MAX; 2]));
    }
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
        Value::String(text) => {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            time::whole(text, clock).filter(|micros| !is_number || time::since(*micros))
        }
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
        Value::String(name) if name.len() < 3 && name.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = name.parse().ok()?;
            severity(&Value::Long(number)).or_else(|| Some(name.clone()))
        }
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

/// MongoDB's, which has degrees of `D`.
fn letter<'t>(value: &Value<'t>) -> Option<Cow<'t, str>> {
    let Value::String(text) = value else { return None };
    match text.as_bytes() {
        [own] | [own @ b'D', b'1'..=b'5'] => level::letter(*own).map(Cow::Borrowed),
        _ => None,
    }
}

fn user<'t>(value: &Value<'t>) -> Option<Cow<'t, str>> {
    match value {
        Value::String(name) => (!name.is_empty()).then(|| name.clone()),
        Value::Long(number) => Some(Cow::Owned(number.to_string())),
        Value::Double(_) | Value::Boolean(_) => None,
    }
}
