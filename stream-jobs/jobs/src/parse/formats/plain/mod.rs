//! What programs write to files and consoles: a time, a level, and a message, with little agreement on what stands between.
//!
//! `2020-05-18 14:38:34,123 [main] INFO a.b.C - message`, `[time] LEVEL message`, `time [pid] user@db LOG:  message`, `LEVEL:name:message`.
//! The time may be in any form, and in brackets. Behind it the level is looked for among words that programs write there:
//! numbers of processes, threads in brackets, names with a sign behind them, pairs. Where there is none, all behind the time is the
//! message. Without a time the line must begin with a level. A time of day alone is no time: it is the field `time_of_day`.

mod before_level;
mod behind_level;

use std::borrow::Cow;

use millrace_schemas::Value;

use super::level::{letter, level};
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, at_beginning, clock as time_of_day, fraction};

/// Pieces between time and level.
const MOST_PIECES: usize = 8;
/// Names of threads and loggers are no longer than this.
const LONGEST: usize = 96;

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut head = Head {
        at: Cursor::new(text),
        found: Found::default(),
        marked: false,
        tight: false,
        numbered: false,
        paired: false,
    };
    head.at.run(blank);
    let before = head.before_time();
    let timed = head.time(clock);
    if timed && before == Before::Redis && head.mark() {
        head.at.run(blank);
    } else if head.found.severity.is_none() {
        let mut ahead = head.clone();
        if ahead.level(timed) {
            head = ahead;
        } else if timed {
            head.process();
        }
    }
    if !timed && head.found.severity.is_none() {
        return Err(Stopped::new(0, "a time or a level in the beginning"));
    }
    if head.found.severity.is_some() {
        if !timed {
            head.time_behind_level(clock);
        }
        head.behind_level();
    } else {
        head.without_level();
    }
    head.at.run(blank);
    head.found.message = Some(Cow::Borrowed(head.at.rest()));
    Ok(head.found)
}

/// Whether a word behind a time cannot be the host of a line of syslog: a level, a number, a pair, a part in brackets, a sign.
pub(crate) fn is_no_host(word: &str) -> bool {
    let bare = word.trim_end_matches(':');
    let capitals = bare.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_level = capitals && level(bare).is_some_and(|own| own.plain);
    let single = matches!(bare.as_bytes(), [own] if letter(*own).is_some() || own.is_ascii_punctuation());
    let bracketed = word.strip_prefix('[').is_some_and(|inner| {
        let inner = inner.trim_end_matches([']', ':'] as [char; 2]);
        level(inner).is_some() || is_number(inner)
    });
    is_level || single || bracketed || is_number(word) || word.contains('=')
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() < 19 && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[derive(PartialEq)]
enum Before {
    Nothing,
    /// Its marks behind the time are levels.
    Redis,
}

#[derive(Clone)]
struct Head<'t> {
    at: Cursor<'t>,
    found: Found<'t>,
    /// Whether the level has a sign behind it, so that no name can follow.
    marked: bool,
    /// Whether a bracket follows the level's bracket at once.
    tight: bool,
    /// Whether a number without brackets was the last before this.
    numbered: bool,
    /// Whether pairs were the last before this.
    paired: bool,
}

impl<'t> Head<'t> {
    /// Adds a field; of several of a name the first counts.
    fn put(&mut self, name: &'t str, value: Value<'t>) {
        if !self.has(name) {
            self.found.fields.push(name, value);
        }
    }

    fn text(&mut self, name: &'static str, text: &'t str) {
        if !text.is_empty() {
            self.put(name, Value::String(Cow::Borrowed(text)));
        }
    }

    fn long(&mut self, name: &'static str, digits: &str) {
        if let Ok(number) = digits.parse() {
            self.put(name, Value::Long(number));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.found.fields.find(name).is_some()
    }

    /// `1:M ` and `[4018] ` of Redis, `I, ` of Ruby.
    fn before_time(&mut self) -> Before {
        let mut ahead = self.at;
        let bracket = ahead.skip("[");
        let digits = ahead.run(|byte| byte.is_ascii_digit());
        let role = ahead.rest().as_bytes().first_chunk::<3>();
        let behind = match role {
            _ if digits.is_empty() || digits.len() > 10 => None,
            Some([b':', b'M' | b'S' | b'C' | b'X', b' ']) if !bracket => Some(3),
            Some([b']', b' ', b'0'..=b'9']) if bracket => Some(2),
            _ => None,
        };
        if let Some(len) = behind {
            ahead.at += len;
            self.long("pid", digits);
            if let Some(role) = ahead.text.get(ahead.at - 2..ahead.at - 1).filter(|_| !bracket) {
                self.text("role", role);
            }
            self.at = ahead;
            return Before::Redis;
        }
        // `=INFO REPORT==== 12-Apr-2019::10:00:53 ===` of Erlang.
        let mut ahead = self.at;
        if ahead.skip("=") {
            let word = ahead.run(|byte| byte.is_ascii_uppercase());
            if let (Some(own), true) = (level(word), ahead.skip(" REPORT==== ")) {
                self.take(own.name);
                self.marked = true;
                self.at = ahead;
            }
            return Before::Nothing;
        }
        let rest = self.at.rest().as_bytes();
        if rest.len() > 4 && letter(rest[0]).is_some() && rest[1..].starts_with(b", [") {
            self.at.at += 3;
        }
        Before::Nothing
    }

    /// Steps over the time, in brackets or without.
    fn time(&mut self, clock: Clock<'_>) -> bool {
        let mut ahead = self.at;
        let bracket = ahead.skip("[") || ahead.skip("(");
        if bracket {
            ahead.run(blank);
        }
        let rest = ahead.rest().as_bytes();
        let (micros, len) = match at_beginning(rest, clock) {
            Some((micros, len)) => (Some(micros), len),
            None => match of_day(rest) {
                Some(len) => (None, len),
                None => return bracket && self.uptime(ahead),
            },
        };
        let start = ahead.at;
        ahead.at += len;
        let ends = match ahead.peek() {
            None | Some(b' ' | b'\t' | b'|' | b'\n') => true,
            Some(b']' | b')' | b':') => bracket || ahead.rest().starts_with(": "),
            Some(b',' | b';') => true,
            _ => false,
        };
        if !ends {
            return false;
        }
        self.found.time = micros;
        if micros.is_none() {
            self.text("time_of_day", ahead.text.get(start..ahead.at).unwrap_or_default());
        }
        if bracket {
            let inner = ahead.run(|byte| byte.is_ascii_graphic() && byte != b']' || byte == b' ');
            if !(ahead.skip("]") || ahead.skip(")")) {
                return self.none();
            }
            self.within(inner);
        } else {
            let _ = ahead.skip(":") || ahead.skip(",") || ahead.skip(";") || ahead.skip(" ===");
        }
        self.at = ahead;
        true
    }

    fn none(&mut self) -> bool {
        self.found.time = None;
        false
    }

    /// What stands behind the time in its brackets: ` #123`, `: INFO/MainProcess`, ` INF`, ` INFO  a::b`.
    fn within(&mut self, inner: &'t str) {
        for word in
            inner.split([' ', ':', '/', ','] as [char; 4]).take(MOST_PIECES).filter(|word| !word.is_empty())
        {
            let number = word.trim_start_matches('#');
            match level(word) {
                Some(own) if self.found.severity.is_none() => {
                    self.found.severity = Some(Cow::Borrowed(own.name));
                    self.marked = true;
                }
                _ if is_number(number) => self.long("pid", number),
                _ if !self.has("logger") => {
                    // Whole, with what was taken for signs between words.
                    let at = word.as_ptr() as usize - inner.as_ptr() as usize;
                    self.text("logger", inner[at..].trim_end());
                    return;
                }
                _ => {}
            }
        }
    }

    /// `[12345.678901] ` of the kernel: how long it is up.
    fn uptime(&mut self, mut at: Cursor<'t>) -> bool {
        let number = at.run(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_fraction =
            number.split_once('.').is_some_and(|(own, micros)| !own.is_empty() && micros.len() == 6);
        if !is_fraction || !at.skip("]") {
            return false;
        }
        if let Ok(seconds) = number.parse() {
            self.put("uptime_s", Value::Double(seconds));
        }
        self.at = at;
        true
    }

    /// Redis's marks.
    fn mark(&mut self) -> bool {
        let mut ahead = self.at;
        ahead.run(blank);
        let severity = match ahead.rest().as_bytes().first_chunk::<2>() {
            Some(b". ") => "debug",
            Some(b"- ") => "verbose",
            Some(b"* ") => "notice",
            Some(b"# ") => "warning",
            _ => return false,
        };
        self.found.severity = Some(Cow::Borrowed(severity));
        ahead.at += 2;
        self.at = ahead;
        self.marked = true;
        true
    }

    /// `[123]` behind a time is a process, whatever follows.
    fn process(&mut self) {
        let mut ahead = self.at;
        ahead.run(blank);
        let colon = |at: &mut Cursor<'_>| at.skip("] ") || at.skip("]: ");
        let _ = ahead.skip("[pid ") || ahead.skip("[");
        let digits = ahead.run(|byte| byte.is_ascii_digit());
        if is_number(digits) && ahead.at > self.at.at + digits.len() && colon(&mut ahead) {
            self.long("pid", digits);
            self.at = ahead;
        }
    }
}

/// A time of day alone: `14:38:34.123`, `2:38PM`. Where it ends.
fn of_day(bytes: &[u8]) -> Option<usize> {
    if time_of_day(bytes, 0).is_some() {
        let pointed =
            matches!(bytes.get(8), Some(b'.' | b',')) && bytes.get(9).is_some_and(u8::is_ascii_digit);
        return Some(if pointed { fraction(bytes, 8).1 } else { 8 });
    }
    let hour = bytes.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let minutes = matches!(bytes.get(hour..hour + 3), Some([b':', tens, ones]) if tens.is_ascii_digit() && ones.is_ascii_digit());
    let half = matches!(bytes.get(hour + 3..hour + 5), Some(b"AM" | b"PM"));
    ((1..=2).contains(&hour) && minutes && half).then_some(hour + 5)
}
