//! Apache's access log: common and combined format, with an optional cookie column.
//!
//! `client ident auth [day/month/year:time zone] "request" status bytes`, then `"referer" "agent"`, then `"cookie"`.
//! Behind these, columns of servers that write more are read: Nginx's `"$http_x_forwarded_for"`, those of Traefik and of Kubernetes'
//! ingress; others are the field `extra`, as they stand.
//! A `-` is no value. The user is the cookie `userid`, else `auth`. The whole line is the message. Before the client the virtual
//! host may stand, with its port or without; several clients are a list: `10.0.0.1, 10.0.0.2`, also with the first ones in quotes.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, access_log, whole};

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text.trim_ascii_end());
    let mut found = Found::default();
    found.fields.0.reserve_exact(10);

    if let Some((vhost, port)) = virtual_host(at.rest()) {
        at.until(b' ');
        at.skip(" ");
        found.text("vhost", vhost);
        found.fields.push("port", Value::Long(port));
    }
    let mut client = clients(&mut at);
    if client.is_empty() {
        return Err(at.stop("a client"));
    }
    at.expect(" ", "a blank after the client")?;
    let mut ident = clients(&mut at);
    at.expect(" ", "a blank after ident")?;
    if ident.contains(',') && !client.contains(',') {
        found.text("vhost", client);
        client = ident;
        ident = at.until(b' ');
        at.expect(" ", "a blank after ident")?;
    }
    if ident != "-" && is_ident(at.rest()) {
        // What looked like the client is what its proxies say, or the virtual host.
        if client.contains(',') {
            let all = format!("{}, {ident}", client.trim_matches('"'));
            found.fields.push("client", Value::String(Cow::Owned(all)));
        } else {
            found.text("vhost", client);
            found.text("client", ident);
        }
        ident = at.until(b' ');
        at.skip(" ");
    } else {
        found.text("client", client);
    }
    found.text("ident", ident);
    let auth = auth(&mut at)?;
    found.text("auth", auth);
    found.time = Some(time(&mut at, clock)?);
    at.expect("] ", "] after the time")?;

    request(quoted(&mut at, "the request in quotes")?, &mut found);
    at.expect(" ", "a blank after the request")?;
    number(&mut at, "status", "a status", &mut found)?;
    at.expect(" ", "a blank after the status")?;
    number(&mut at, "bytes", "a number of bytes", &mut found)?;

    let mut cookie = None;
    if at.skip(" ") {
        for name in ["referer", "agent"] {
            let quoted = quoted(&mut at, "referer and agent in quotes")?;
            if quoted != "-" {
                found.fields.push(name, Value::String(unescape(quoted)));
            }
            if name == "referer" {
                at.expect(" ", "a blank after the referer")?;
            }
        }
        if at.skip(" ") {
            cookie = more(&mut at, &mut found)?;
        }
    }
    if at.peek().is_some() {
        return Err(at.stop("the end of the line"));
    }
    found.user = cookie.or((auth != "-").then_some(Cow::Borrowed(auth)));
    Ok(found)
}

/// Columns behind the agent; gives the user that a cookie names.
fn more<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> Result<Option<Cow<'t, str>>, Stopped> {
    let mut user = None;
    if at.peek() == Some(b'"') {
        let column = quoted(at, "a cookie column in quotes")?;
        let mut addresses = column.split(", ");
        if addresses.all(|own| own.parse::<std::net::IpAddr>().is_ok()) {
            found.text("forwarded", column);
        } else {
            user = user_cookie(column);
        }
        if at.peek().is_some() {
            at.expect(" ", "a blank after the cookie")?;
        }
    } else if traefik(at, found).is_some() || ingress(at, found).is_some() {
        return Ok(None);
    }
    if at.peek().is_some() {
        found.text("extra", at.rest());
        at.at = at.text.len();
    }
    Ok(user)
}

/// `1 "router@docker" "http://10.0.0.1:80" 0ms`
fn traefik<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> Option<()> {
    let mut ahead = *at;
    let number = ahead.run(|byte| byte.is_ascii_digit()).parse().ok()?;
    ahead.skip(" ").then_some(())?;
    let router = quoted(&mut ahead, "").ok()?;
    ahead.skip(" ").then_some(())?;
    let upstream = quoted(&mut ahead, "").ok()?;
    let took = ahead.rest().strip_prefix(' ')?.strip_suffix("ms")?.parse().ok()?;
    found.fields.push("request_number", Value::Long(number));
    found.text("router", router);
    found.text("upstream", upstream);
    found.fields.push("took_ms", Value::Long(took));
    at.at = at.text.len();
    Some(())
}

/// `83 0.001 [default-web-80] [] 10.1.0.18:80 615 0.004 200 4b3ac4e9`; of several upstreams the last three are lists.
fn ingress<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> Option<()> {
    let (numbers, rest) = at.rest().split_once(" [")?;
    let (length, took) = numbers.split_once(' ')?;
    let (length, took) = (length.parse().ok()?, took.parse().ok()?);
    let (proxy, rest) = rest.split_once("] ")?;
    let (other, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some(parts) => parts,
        None => ("", rest),
    };
    let (lists, id) = rest.rsplit_once(' ')?;
    // A list has a comma and a blank between its parts.
    let mut lists = lists.split(' ');
    let mut columns = [""; 4];
    for column in &mut columns {
        let first = lists.next()?;
        let mut last = first;
        while last.ends_with(',') {
            last = lists.next()?;
        }
        let start = first.as_ptr() as usize - at.text.as_ptr() as usize;
        let end = last.as_ptr() as usize - at.text.as_ptr() as usize + last.len();
        *column = &at.text[start..end];
    }
    if lists.next().is_some() {
        return None;
    }
    found.fields.push("request_length", Value::Long(length));
    found.fields.push("took_s", Value::Double(took));
    for (name, own) in [("upstream_name", proxy), ("upstream_alternative", other), ("upstream", columns[0])] {
        if !own.is_empty() {
            found.text(name, own);
        }
    }
    for (name, own) in ["upstream_bytes", "upstream_took_s", "upstream_status"].into_iter().zip(&columns[1..])
    {
        let long = own.parse().ok().filter(|_| name != "upstream_took_s").map(Value::Long);
        let double = || own.parse().ok().filter(|_| name == "upstream_took_s").map(Value::Double);
        match long.or_else(double) {
            Some(value) => found.fields.push(name, value),
            None => found.text(name, own),
        }
    }
    found.text("request_id", id);
    at.at = at.text.len();
    Some(())
}

/// A word, or several with commas between them.
fn clients<'t>(at: &mut Cursor<'t>) -> &'t str {
    let start = at.at;
    at.until(b' ');
    while at.text[start..at.at].ends_with(',') && at.skip(" ") {
        at.until(b' ');
    }
    &at.text[start..at.at]
}

/// `www.example.org:443` as the first word, if client, ident and auth follow; else it is the client with its port.
fn virtual_host(text: &str) -> Option<(&str, i64)> {
    let (word, rest) = text.split_at(memchr::memchr(b' ', text.as_bytes())?);
    let (host, port) = word.split_at(memchr::memchr(b':', word.as_bytes())?);
    let port: u16 = port[1..].parse().ok()?;
    let before_time = &rest[1..=memchr::memmem::find(&rest.as_bytes()[1..], b" [")?];
    let n_words = memchr::memchr_iter(b' ', before_time.as_bytes()).count() + 1;
    (!host.is_empty() && n_words > 2).then_some((host, port.into()))
}

/// Whether an empty ident stands there and not auth, which is the last before the time.
fn is_ident(text: &str) -> bool {
    text.starts_with("- ") && !text.starts_with("- [")
}

/// User names may have blanks; the time's bracket ends them.
fn auth<'t>(at: &mut Cursor<'t>) -> Result<&'t str, Stopped> {
    let rest = at.rest();
    let len = memchr::memmem::find(rest.as_bytes(), b" [").ok_or_else(|| at.stop("[ before the time"))?;
    at.at += len + 2;
    Ok(&rest[..len])
}

/// `17/May/2015:10:05:03 +0000`, or as others write it in the same brackets: `18/May/2020 14:38:34`.
fn time(at: &mut Cursor<'_>, clock: Clock<'_>) -> Result<i64, Stopped> {
    const LEN: usize = 26;
    let stop = at.stop("a time as 17/May/2015:10:05:03 +0000");
    let civil = at.rest().as_bytes().first_chunk::<LEN>().and_then(access_log);
    if let Some(micros) = civil.and_then(|civil| civil.micros()) {
        at.at += LEN;
        return Ok(micros);
    }
    let other = at.rest().split_once(']').map(|(own, _)| own).filter(|own| own.len() <= 2 * LEN);
    let micros = other.and_then(|own| Some((whole(own, clock)?, own.len())));
    let (micros, len) = micros.ok_or(stop)?;
    at.at += len;
    Ok(micros)
}

/// What stands in quotes, still escaped; a backslash guards the next character.
pub(super) fn quoted<'t>(at: &mut Cursor<'t>, expected: &'static str) -> Result<&'t str, Stopped> {
    at.expect("\"", expected)?;
    let rest = at.rest();
    let mut from = 0;
    while let Some(len) = memchr::memchr2(b'"', b'\\', &rest.as_bytes()[from..]) {
        let end = from + len;
        if rest.as_bytes()[end] == b'"' {
            at.at += end + 1;
            return Ok(&rest[..end]);
        }
        from = (end + 2).min(rest.len());
    }
    at.at = at.text.len();
    Err(at.stop("a closing quote"))
}

/// `method path protocol`; what is not of this form is kept whole as `request`.
pub(super) fn request<'t>(quoted: &'t str, found: &mut Found<'t>) {
    let method = quoted.split(' ').next().unwrap_or_default();
    let is_method =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    match quoted.get(method.len() + 1..) {
        Some(rest) if is_method => {
            let (path, protocol) = match rest.rsplit_once(' ') {
                Some((path, protocol)) if protocol.starts_with("HTTP/") => (path, Some(protocol)),
                _ => (rest, None), // HTTP/0.9
            };
            found.text("method", method);
            found.fields.push("path", Value::String(unescape(path)));
            if let Some(protocol) = protocol {
                found.text("protocol", protocol);
            }
        }
        _ if quoted == "-" => {}
        _ => found.fields.push("request", Value::String(unescape(quoted))),
    }
}

/// Digits, or `-` for none.
fn number(
    at: &mut Cursor<'_>,
    name: &'static str,
    expected: &'static str,
    found: &mut Found<'_>,
) -> Result<(), Stopped> {
    let stop = at.stop(expected);
    if at.skip("-") {
        return Ok(());
    }
    let number = at.run(|byte| byte.is_ascii_digit()).parse().map_err(|_| stop)?;
    found.fields.push(name, Value::Long(number));
    Ok(())
}

/// The first cookie named exactly `userid`; an empty one is no user.
pub(super) fn user_cookie(quoted: &str) -> Option<Cow<'_, str>> {
    let pairs = quoted.split(';').map(|pair| pair.trim_matches(' '));
    let user = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "userid")?.1;
    (!user.is_empty()).then(|| unescape(user))
}

/// Undoes Apache's escapes: `\"`, `\\`, `\n`, `\t`, … and `\xHH`.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let bytes = text.as_bytes();
    let mut plain = bytes[..first].to_vec();
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        let escaped = if byte == b'\\' { bytes.get(at + 1) } else { None };
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (put, len) = match escaped {
            Some(b'x') => match (hex(at + 2), hex(at + 3)) {
                (Some(high), Some(low)) => ((high * 16 + low) as u8, 4),
                _ => (byte, 1),
            },
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'b') => (8, 2),
            Some(b'v') => (11, 2),
            Some(&guarded @ (b'"' | b'\\')) => (guarded, 2),
            _ => (byte, 1),
        };
        plain.push(put);
        at += len;
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}
