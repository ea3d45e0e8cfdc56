//! Nginx's error log.
//!
//! `2021/04/01 13:02:31 [error] 31#31: *1 message, client: …, server: …, request: "…", upstream: "…", host: "…"`

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, Layout};

const DETAILS: [(&str, &str); 10] = [
    (", client: ", "client"),
    (", server: ", "server"),
    (", request: ", "request"),
    (", subrequest: ", "subrequest"),
    (", upstream: ", "upstream"),
    (", host: ", "host"),
    (", referrer: ", "referer"),
    (", login: ", "login"),
    (", excess: ", "excess"),
    (" by zone ", "zone"),
];

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    let layout = Layout::read("%Y/%m/%d %H:%M:%S").map_err(|_| at.stop("a time"))?;
    let time = text.get(..19).and_then(|time| layout.micros(time, clock));
    found.time = Some(time.ok_or(at.stop("a time as 2021/04/01 13:02:31"))?);
    at.at = 19;
    at.expect(" [", "[ before the level")?;
    let level = at.until(b']');
    found.severity = Some(Cow::Borrowed(level));
    at.expect("] ", "] after the level")?;
    for (name, sign) in [("pid", "#"), ("tid", ": ")] {
        let number =
            at.run(|byte| byte.is_ascii_digit()).parse().map_err(|_| at.stop("the number of a process"))?;
        found.fields.push(name, Value::Long(number));
        at.expect(sign, "process#thread: ")?;
    }
    let mut ahead = at;
    if ahead.skip("*")
        && let Ok(number) = ahead.run(|byte| byte.is_ascii_digit()).parse()
    {
        found.fields.push("cid", Value::Long(number));
        ahead.skip(" ");
        at = ahead;
    }
    let rest = at.rest();
    // Where each detail stands next. A place that was found counts until it lies behind, so that each text is searched for once.
    let mut places = DETAILS.map(|(sign, _)| rest.find(sign));
    let mut starts = |from: usize| {
        for ((sign, _), place) in DETAILS.iter().zip(&mut places) {
            *place =
                place.and_then(|at| if at < from { Some(from + rest[from..].find(sign)?) } else { Some(at) });
        }
        let each = DETAILS.iter().zip(&places);
        each.filter_map(|((sign, name), place)| Some(((*place)?, *sign, *name))).min()
    };
    let mut next = starts(0);
    found.message = Some(Cow::Borrowed(&rest[..next.map_or(rest.len(), |(start, ..)| start)]));
    while let Some((start, sign, name)) = next {
        let from = start + sign.len();
        let end;
        let value =
            match rest[from..].strip_prefix('"').and_then(|inner| inner.find('"').map(|len| &inner[..len])) {
                Some(inner) => {
                    end = from + inner.len() + 2;
                    inner
                }
                None => {
                    end = starts(from).map_or(rest.len(), |(next, ..)| next);
                    rest[from..end].trim_end_matches([',', ' '])
                }
            };
        let double = (name == "excess").then(|| value.parse().ok()).flatten();
        found.fields.push(name, double.map_or(Value::String(Cow::Borrowed(value)), Value::Double));
        next = starts(end);
    }
    Ok(found)
}
