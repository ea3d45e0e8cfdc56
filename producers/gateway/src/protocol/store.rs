//! The two early interfaces: `POST /store/batch` (lines of files, numbered) and `POST /message/send` (one message).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::item::{Item, MAX_ITEMS, Malformed, TIME, Taken, too_many};
use crate::json;

/// A line of a batch.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    uuid: Cow<'a, str>,
    #[serde(borrow)]
    host: Cow<'a, str>,
    #[serde(borrow)]
    file: Cow<'a, str>,
    #[serde(rename = "line-num")]
    number: Value,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// Reads a batch: a JSON array of `{uuid, host, file, line-num, content}`. The identity of a line is its number in its
/// file, so that sending it again is no second line.
///
/// # Errors
/// [`Malformed`]: no JSON array. A line that lacks something is refused by itself.
pub fn batch<'a>(stream: &'a str, body: &'a [u8]) -> Result<Taken<'a>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed(format!("not UTF-8: {error}")))?;
    let lines = json::whole(text).and_then(json::elements).map_err(Malformed)?;
    let mut taken = Taken::default();
    for (at, line) in lines.enumerate() {
        if at == MAX_ITEMS {
            return Err(Malformed(too_many()));
        }
        let line: Line<'a> = match serde_json::from_str(line.map_err(Malformed)?) {
            Ok(line) => line,
            Err(error) => {
                taken.refuse(at, format!("not a line with uuid, host, file, line-num and content: {error}"));
                continue;
            }
        };
        let number = line.number.as_i64().or_else(|| line.number.as_str()?.parse().ok());
        let Some(number) = number.filter(|number| *number >= 0) else {
            taken.refuse(at, "line-num is no whole number from 0 on");
            continue;
        };
        let body = match line.content {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        let mut item = Item::new(stream, body);
        // Neither can hold a line feed: no two pairs make one scope.
        let named = [&line.host, &line.file].iter().all(|name| !name.is_empty() && !name.contains('\n'));
        if !named {
            taken.refuse(at, "host and file are names: not empty, in one line");
            continue;
        }
        item.dedup = Some((format!("store/{}\n{}", line.host, line.file).into(), number));
        item.host = Some(line.host);
        item.file = Some(line.file);
        item.attribute("uuid", line.uuid);
        taken.push(at, item);
    }
    Ok(taken)
}

/// Smaller timestamps of a message are seconds, others milliseconds.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// Reads a message: `{"timestamp": 1020, "severity": "WARN", "source": "app", "message": "hello world!"}`, kept as it is.
///
/// # Errors
/// [`Malformed`].
pub fn message<'a>(stream: &'a str, body: &'a [u8]) -> Result<Item<'a>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed(format!("not UTF-8: {error}")))?;
    let text = json::whole(text).map_err(Malformed)?;
    let found = json::named(text, ["timestamp", "severity", "source", "message"]).map_err(Malformed)?;
    let [time, severity, source, message] = found;
    let words = |name: &str, value: Option<&'a str>| {
        let value = value.ok_or_else(|| Malformed(format!("{name} is missing")))?;
        json::string(value).ok_or_else(|| Malformed(format!("{name} is not text")))
    };
    let time = time.ok_or_else(|| Malformed::new("timestamp is missing"))?;
    let time: i64 = time.parse().map_err(|_| Malformed::new("timestamp is no whole number"))?;
    words("message", message)?;
    words("severity", severity)?;
    let source = words("source", source)?;
    let mut item = Item::new(stream, text.as_bytes());
    item.attribute("source", source);
    let unit = if time < SECONDS_BELOW { 1_000_000_000 } else { 1_000_000 };
    if let Some(nanos) = time.checked_mul(unit) {
        item.attribute(TIME, nanos.to_string());
    }
    match item.fault() {
        None => Ok(item),
        Some(reason) => Err(Malformed(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_host_file_and_number() {
        let body = r#"[{"uuid":"u1","host":"h","file":"/a.log","line-num":3,"content":"x\ty"},
            {"uuid":"u2","host":"h","file":"/a.log","line-num":"4","content":""},{"uuid":"u3"},
            {"uuid":"u4","host":"h","file":"f","line-num":-1,"content":""},{"uuid":"u5","host":"","file":"f","line-num":1,"content":""}]"#;
        let taken = batch("store", body.as_bytes()).unwrap();
        let shown: Vec<_> = taken
            .items
            .iter()
            .map(|item| {
                (item.host.as_deref(), item.file.as_deref(), item.dedup.clone().unwrap(), item.body.to_vec())
            })
            .collect();
        let scope = "store/h\n/a.log";
        assert_eq!(shown[0], (Some("h"), Some("/a.log"), (scope.into(), 3), b"x\ty".to_vec()));
        assert_eq!(shown[1], (Some("h"), Some("/a.log"), (scope.into(), 4), b"".to_vec()));
        assert_eq!(taken.refused.iter().map(|own| own.at).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(batch("store", b"{}").is_err());
    }

    #[test]
    fn a_message_is_kept_as_it_is() {
        let body = br#"{"timestamp": 1020, "severity": "WARN", "source": "app", "message": "hello world!"}"#;
        let item = message("messages", body).unwrap();
        assert_eq!(*item.body, *body);
        let wanted = [("source".into(), "app".into()), (TIME.into(), "1020000000000".into())];
        assert_eq!(item.attributes, wanted);
        for bad in [
            "",
            "[]",
            r#"{"severity":"a","source":"b","message":"c"}"#,
            r#"{"timestamp":"1","severity":"a","source":"b","message":"c"}"#,
        ] {
            assert!(message("messages", bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_lines_or_a_refusal(body: Vec<u8>, text in "[\\[\\]{}\",:a-z0-9]{0,60}") {
            for body in [body.as_slice(), text.as_bytes()] {
                drop(batch("store", body));
                drop(message("messages", body));
            }
        }
    }
}
