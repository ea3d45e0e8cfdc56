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
    (host != "-" && !host.is_empty() && host.len() <= 255 && host.chars().all(plain)).then_some(host)
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
    let mut words = text.splitn(4, ' ');
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

/// The word behind `Oct 11 22:14:15`, `Oct 11 2026 22:14:15:` or `2026-10-11T22:14:15Z`, unless it is a tag.
fn after_time(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    if !rfc3339(first) {
        let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        months.iter().find(|month| first.eq_ignore_ascii_case(month))?;
        words.next().filter(|day| matches!(day.parse(), Ok(1..=31)))?;
        let mut time = words.next()?;
        if time.len() == 4 && time.bytes().all(|byte| byte.is_ascii_digit()) {
            time = words.next()?;
        }
        let clock = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = time.trim_end_matches(':').split('.').next()?.split(':');
        let is_time =
            parts.by_ref().take(3).filter(|part| clock(part)).count() == 3 && parts.next().is_none();
        is_time.then_some(())?;
    }
    // `haproxy[73411]:` and `su:` are tags: no host was written.
    words.next().filter(|word| !word.ends_with(':') && !word.contains('['))
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
            ("1 2020-05-22T14:59:09.250-03:00 OX-1 a 6589 - - x", Some("OX-1")),
            ("<34>Oct 11 22:14:15 mymachine su: x", Some("mymachine")),
            ("<38> Mar 17 19:06:53 example tag: x", Some("example")),
            ("<167>Mar 7 2008 19:06:53: example tag: x", Some("example")),
            ("<167>AUG 10 22:18:24 host tag x", Some("host")),
            (" \n <34>1 2003-10-11T22:14:15.003Z h su - - - x", Some("h")),
            ("<14>2010-08-30T23:00:05Z X4711", Some("X4711")),
            ("<133>Jan 13 16:33:35 haproxy[73411]: x", None),
            ("<34>Oct 11 22:14:15 su: x", None),
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
