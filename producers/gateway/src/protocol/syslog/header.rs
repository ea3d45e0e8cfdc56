//! Which host a message says it comes from: RFC 5424's field, or the word behind RFC 3164's time.

/// The host, if the message names one; else it is the sender's address.
pub fn host(message: &[u8]) -> Option<&str> {
    // The header is text whatever follows; a long one is no header.
    let head = &message[..message.len().min(512)];
    let head = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    let rest = priority(head.trim_ascii_start());
    let host = match versioned(rest) {
        Some(host) => host,
        None => after_time(rest.trim_start())?,
    };
    let plain =
        |char: char| !char.is_control() && !matches!(char, '"' | '[' | ']' | '{' | '}' | '=' | '<' | '>');
    let columns = host.starts_with(|own: char| own.is_ascii_digit()) && host.contains(',');
    (!columns && host != "-" && !host.is_empty() && host.len() <= 255 && host.chars().all(plain))
        .then_some(host)
}

fn priority(head: &str) -> &str {
    let inner = head.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match inner {
        Some((number, rest)) if number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => head,
    }
}

/// `1 2003-10-11T22:14:15.003Z host …`
fn versioned(text: &str) -> Option<&str> {
    // Some put more than one blank between the fields.
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let version = words.next()?;
    let is_version = (1..=3).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit());
    let time = words.next().filter(|_| is_version)?;
    (time == "-" || rfc3339(time)).then(|| words.next()).flatten()
}

fn rfc3339(word: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
    word.len() >= form.len() && word.bytes().zip(form).all(fits)
}

/// The word behind `Oct 11 22:14:15`, `Oct 11 2026 22:14:15:` or `2026-10-11T22:14:15Z`, unless it is a tag. A day of the week may stand
/// before that, and year, half of the day and zone behind it.
fn after_time(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace();
    let mut first = words.next()?;
    if !rfc3339(first) {
        if one_of(first.trim_end_matches(','), &["mon", "tue", "wed", "thu", "fri", "sat", "sun"]) {
            first = words.next()?;
        }
        let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        one_of(first, &months).then_some(())?;
        words.next().filter(|day| matches!(day.parse(), Ok(1..=31)))?;
        let mut time = words.next()?;
        if is_year(time) {
            time = words.next()?;
        }
        is_clock(time.trim_end_matches(':')).then_some(())?;
    }
    let mut host = words.next()?;
    while belongs_to_time(host)
        && let Some(next) = words.next()
    {
        host = next;
    }
    // `haproxy[73411]:` and `su:` are tags: no host was written.
    Some(host).filter(|word| !word.ends_with(':') && !word.contains('['))
}

fn one_of(word: &str, names: &[&str]) -> bool {
    names.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// `22:14:15`, with a fraction or a zone behind it.
fn is_clock(time: &str) -> bool {
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (clock, rest) =
        time.split_at(time.find(|char: char| !char.is_ascii_digit() && char != ':').unwrap_or(time.len()));
    let parts = clock.split(':');
    parts.clone().count() == 3
        && parts.clone().all(digits)
        && (rest.is_empty() || rest.starts_with(['.', ',', '+', '-', 'Z']))
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What says more of the time: `2026`, `PM`, `PM.484`, `+0200`, `CEST`.
fn belongs_to_time(word: &str) -> bool {
    let zones = [
        "UTC", "GMT", "WET", "WEST", "BST", "CET", "CEST", "MEZ", "MESZ", "EET", "EEST", "SAST", "MSK",
        "JST", "KST", "AEST", "AEDT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT",
    ];
    let shift =
        word.strip_prefix(['+', '-']).is_some_and(|rest| rest.starts_with(|own: char| own.is_ascii_digit()));
    let half = matches!(word.split('.').next(), Some("AM" | "PM"));
    let year = is_year(word) && matches!(word.parse(), Ok(1970..2100));
    year || half || shift || zones.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_where_senders_put_them() {
        for (message, wanted) in [
            (
                "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - x",
                Some("mymachine.example.com"),
            ),
            ("<34>1 - - su - - - x", None),
            ("<34>1  2003-10-11T22:14:15Z  h  su - - - x", Some("h")),
            ("1 2020-05-22T14:59:09.250-03:00 OX-1 a 6589 - - x", Some("OX-1")),
            ("<34>Oct 11 22:14:15 mymachine su: x", Some("mymachine")),
            ("<38> Mar 17 19:06:53 example tag: x", Some("example")),
            ("<167>Mar 7 2008 19:06:53: example tag: x", Some("example")),
            ("<167>AUG 10 22:18:24 host tag x", Some("host")),
            (" \n <34>1 2003-10-11T22:14:15.003Z h su - - - x", Some("h")),
            ("<14>2010-08-30T23:00:05Z X4711", Some("X4711")),
            ("<133>Jan 13 16:33:35 haproxy[73411]: x", None),
            ("<34>Oct 11 22:14:15 su: x", None),
            ("<34>Sun Oct 11 22:14:15 2026 h su: x", Some("h")),
            ("<34>Sun, Oct 11 22:14:15 h su: x", Some("h")),
            ("<34>Oct 11 22:14:15.123 CEST 2026 h su: x", Some("h")),
            ("<34>Oct 11 2026 10:14:15 PM.484 UTC h su: x", Some("h")),
            ("<34>Oct 11 22:14:15+02:00 h su: x", Some("h")),
            ("<34>Oct 11 22:14:15,5 +0200 h\tx y", Some("h")),
            ("<34>Oct 11 22:14:15 UTC: %SYS-5-X: x", None),
            ("<34>Oct 11 22:14:15 CEST", Some("CEST")),
            ("<34>Oct 11 22:14:15 3024 su: x", Some("3024")),
            ("<34>Oct 11 22:14:15x h su: x", None),
            ("<34>Oct 11 22:14:15 1,2026/10/11 22:14:15,TRAFFIC", None),
            ("Use the BFG!", None),
            ("<0>1990 Oct 22 10:52:01 TZ-6 scapegoat", None),
            ("", None),
        ] {
            assert_eq!(host(message.as_bytes()), wanted, "{message}");
        }
        assert_eq!(host(b"<34>Oct 11 22:14:15 h a: \xff"), Some("h"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_host_or_none(message: Vec<u8>, text in "(<[0-9]{0,4}>|1 |Oct |[0-9:TZ.-]{0,9}| |[a-z\\[\\]:]{0,5}){0,9}") {
            let found = [host(&message), host(text.as_bytes())];
            proptest::prop_assert!(found.iter().flatten().all(|host| !host.is_empty()));
        }
    }
}
