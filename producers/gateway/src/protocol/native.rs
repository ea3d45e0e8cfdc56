//! `POST /v1/logs/{stream}`: a JSON object, an array, one document a line, or plain text lines.

use std::borrow::Cow;

use crate::item::{Item, MAX_ITEMS, Malformed, Taken, too_many};
use crate::json;
use crate::lines::lines;

/// What surrounds the body.
#[derive(Debug, Clone, Default)]
pub struct About<'a> {
    /// Stream of the path.
    pub stream: Cow<'a, str>,
    /// Host that the client names for all lines.
    pub host: Option<Cow<'a, str>>,
    /// Value of `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
}

enum Form {
    Json,
    JsonLines,
    Text,
}

/// Reads the body; `media_type` is without parameters, lower case, empty where there is none.
///
/// # Errors
/// [`Malformed`] where a body that says it is JSON is none at all.
pub fn read<'a>(media_type: &str, about: &About<'a>, body: &'a [u8]) -> Result<Taken<'a>, Malformed> {
    let form = match media_type {
        "application/json" => Form::Json,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/json-lines"
        | "application/x-jsonlines"
        | "application/stream+json" => Form::JsonLines,
        media_type if media_type.starts_with("text/") => Form::Text,
        // What curl says when it is told nothing, and what is not said: by what it looks like.
        _ if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) => Form::Json,
        _ => Form::Text,
    };
    let mut taken = Taken::default();
    let item = |at: usize, body: &'a [u8]| {
        let mut item = Item::new(about.stream.clone(), body);
        item.host.clone_from(&about.host);
        item.dedup = about.idempotency_key.map(|key| (format!("key/{key}").into(), at as i64));
        item
    };
    match form {
        Form::Text => {
            for (at, (line, end)) in lines(body).enumerate() {
                let mut item = item(at, line);
                item.line_end = end;
                taken.push(at, item);
            }
        }
        Form::Json | Form::JsonLines => {
            let alone = matches!(form, Form::Json).then(|| std::str::from_utf8(body).ok()).flatten();
            match alone.and_then(|text| json::whole(text).ok()) {
                Some(array) if array.starts_with('[') => {
                    for (at, element) in json::elements(array).map_err(Malformed)?.enumerate() {
                        let element = element.map_err(Malformed)?;
                        if at == MAX_ITEMS {
                            return Err(Malformed(too_many()));
                        }
                        document(&mut taken, at, element, item(at, element.as_bytes()));
                    }
                }
                Some(object) => document(&mut taken, 0, object, item(0, object.as_bytes())),
                None => documents(&mut taken, body, item),
            }
        }
    }
    Ok(taken)
}

/// One document a line; a line that is none is refused by itself.
fn documents<'a>(taken: &mut Taken<'a>, body: &'a [u8], item: impl Fn(usize, &'a [u8]) -> Item<'a>) {
    let lines = lines(body).filter(|(line, _)| !line.trim_ascii().is_empty());
    for (at, (line, end)) in lines.enumerate() {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string());
        match text.and_then(json::whole) {
            Ok(text) => {
                let mut item = item(at, line);
                item.line_end = end;
                document(taken, at, text, item);
            }
            Err(reason) => taken.refuse(at, format!("not a JSON document: {reason}")),
        }
    }
}

/// Takes an item whose body is a document: an object. Its host is the one that it names, unless the request names one.
fn document<'a>(taken: &mut Taken<'a>, at: usize, text: &'a str, mut item: Item<'a>) {
    if !text.starts_with('{') {
        taken.refuse(at, "a JSON object is expected");
        return;
    }
    if item.host.is_none() {
        item.host = host_of(text);
    }
    taken.push(at, item);
}

/// The host that a document names: `host` or `hostname` as text, or `host.name` as Beats write it.
pub(crate) fn host_of(object: &str) -> Option<Cow<'_, str>> {
    // Most documents name none: a look for the word costs less than reading the members.
    memchr::memmem::find(object.as_bytes(), b"\"host")?;
    let [host, hostname, dotted] = json::named(object, ["host", "hostname", "host.name"]).ok()?;
    let host = match host {
        Some(value) if value.starts_with('{') => {
            let mut inner = json::members(value).ok()?.flatten();
            json::string(inner.find(|(own, _)| own == "name" || own == "hostname")?.1)
        }
        Some(value) => json::string(value),
        None => hostname.or(dotted).and_then(json::string),
    };
    host.filter(|host| !host.is_empty() && host.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(media_type: &str, body: &str) -> String {
        let about = About { stream: "web".into(), ..About::default() };
        let taken = match read(media_type, &about, body.as_bytes()) {
            Ok(taken) => taken,
            Err(error) => return error.to_string(),
        };
        let items = taken.items.iter().map(|item| String::from_utf8_lossy(&item.body).into_owned());
        let refused = taken.refused.iter().map(|own| format!("!{}", own.at));
        items.chain(refused).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn documents_keep_their_exact_bytes() {
        assert_eq!(bodies("application/json", r#" {"a" : 1.50} "#), r#"{"a" : 1.50}"#);
        assert_eq!(bodies("application/json", r#"[{"a":1}, {"b" :2},3]"#), r#"{"a":1}|{"b" :2}|!2"#);
        assert_eq!(bodies("application/json", "{\"a\":1}\n{\"b\":2}\n"), r#"{"a":1}|{"b":2}"#);
        assert_eq!(bodies("application/json", "{\n\"a\":\n1}"), "{\n\"a\":\n1}");
        assert_eq!(bodies("application/x-www-form-urlencoded", r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn a_bad_line_does_not_harm_its_neighbours() {
        assert_eq!(
            bodies("application/x-ndjson", "\n{\"a\":1}\nfoo\n\n{\"b\":\n7\n{}"),
            r#"{"a":1}|{}|!1|!2|!3"#
        );
    }

    #[test]
    fn text_is_taken_line_by_line() {
        assert_eq!(bodies("text/plain", "a\r\n\nb"), "a||b");
        assert_eq!(bodies("", "not json"), "not json");
        assert_eq!(bodies("text/plain", ""), "");
    }

    #[test]
    fn hosts_come_from_where_senders_put_them() {
        for (object, host) in [
            (r#"{"host":"a"}"#, Some("a")),
            (r#"{"hostname":"b"}"#, Some("b")),
            (r#"{"host":{"ip":"1","name":"c"}}"#, Some("c")),
            (r#"{"host":{"ip":"1"}}"#, None),
            (r#"{"x":{"host":"a"}}"#, None),
            (r#"{"host":1}"#, None),
        ] {
            assert_eq!(host_of(object).as_deref(), host, "{object}");
        }
    }

    #[test]
    fn an_idempotency_key_numbers_the_items() {
        let about = About { stream: "web".into(), idempotency_key: Some("k1"), ..About::default() };
        let taken = read("", &about, b"a\nb").unwrap();
        let ids: Vec<_> = taken.items.iter().map(|item| item.dedup.clone().unwrap()).collect();
        assert_eq!(ids, [("key/k1".into(), 0), ("key/k1".into(), 1)]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_items_or_refusals(body: Vec<u8>, json in ".{0,80}") {
            for media_type in ["application/json", "application/x-ndjson", "text/plain", ""] {
                let about = About { stream: "web".into(), ..About::default() };
                drop(read(media_type, &about, &body));
                drop(read(media_type, &about, json.as_bytes()));
            }
        }
    }
}
