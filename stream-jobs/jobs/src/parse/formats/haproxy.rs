//! HAProxy's logs of requests and of connections, as they stand behind a head of syslog or alone.
//!
//! `client:port [time] frontend backend/server times status bytes cookie cookie state connections queues {headers} {headers} "request"`,
//! and without what belongs to requests.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::apache::request;
use super::apache_error::with_port;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, whole};

const TIMES: [&str; 5] = ["request_ms", "queue_ms", "connect_ms", "response_ms", "took_ms"];
const CONNECTIONS: [&str; 5] =
    ["active_connections", "frontend_connections", "backend_connections", "server_connections", "retries"];
const QUEUES: [&str; 2] = ["server_queue", "backend_queue"];

/// Whether it looks like one of these: an address with a port, and a time in brackets.
pub(crate) fn is_like(text: &str) -> bool {
    // Few messages have a bracket behind their first word.
    let Some(at) = memchr::memchr(b' ', text.as_bytes()) else { return false };
    let rest = &text.as_bytes()[at + 1..];
    rest.first() == Some(&b'[') && rest.get(21) == Some(&b'.') && with_port(&text[..at]).1.is_some()
}

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text.trim_ascii_end());
    let mut found = Found::default();
    let (client, port) = with_port(word(&mut at));
    found.text("client", client);
    found.fields.push("port", Value::Long(port.ok_or(Stopped::new(0, "an address with a port"))?));
    at.expect("[", "[ before the time")?;
    let stop = at.stop("a time as 06/Feb/2009:12:14:14.655");
    found.time = Some(whole(at.until(b']'), clock).ok_or(stop)?);
    at.expect("] ", "] after the time")?;
    found.text("frontend", word(&mut at).trim_end_matches('~'));
    let stop = at.stop("a backend and a server");
    let (backend, server) = word(&mut at).split_once('/').ok_or(stop)?;
    found.text("backend", backend);
    if server != "<NOSRV>" {
        found.text("server", server);
    }
    let stop = at.stop("times with slashes between them");
    let times = word(&mut at);
    let is_http = match times.split('/').count() {
        5 => numbers(times, &TIMES, &mut found),
        3 => !numbers(times, &[TIMES[1], TIMES[2], TIMES[4]], &mut found),
        _ => return Err(stop),
    };
    if is_http {
        numbers(word(&mut at), &["status"], &mut found);
    }
    numbers(word(&mut at), &["bytes"], &mut found);
    if is_http {
        for name in ["request_cookie", "response_cookie"] {
            found.text(name, word(&mut at));
        }
    }
    found.text("termination", word(&mut at));
    numbers(word(&mut at), &CONNECTIONS, &mut found);
    numbers(word(&mut at), &QUEUES, &mut found);
    for name in ["request_headers", "response_headers"] {
        if at.skip("{") {
            let headers = at.until(b'}');
            at.skip("}");
            at.skip(" ");
            if !headers.is_empty() {
                found.text(name, headers);
            }
        }
    }
    if at.skip("\"") {
        let rest = at.rest();
        let own = rest.strip_suffix('"').unwrap_or(rest);
        // What is no request at all.
        if own != "<BADREQ>" {
            request(own, &mut found);
        }
    } else if is_http || at.peek().is_some() {
        return Err(at.stop("the request in quotes"));
    }
    Ok(found)
}

/// Up to a blank, which is stepped over.
fn word<'t>(at: &mut Cursor<'t>) -> &'t str {
    let word = at.until(b' ');
    at.skip(" ");
    word
}

/// Numbers with slashes between them; -1 is none, and `+` says that there is more to come.
fn numbers<'t>(text: &'t str, names: &[&'static str], found: &mut Found<'t>) -> bool {
    for (name, own) in names.iter().zip(text.split('/')) {
        if let Some(number) = own.trim_start_matches('+').parse().ok().filter(|number| *number >= 0) {
            found.fields.0.push((Cow::Borrowed(*name), Value::Long(number)));
        }
    }
    true
}
