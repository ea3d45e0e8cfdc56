//! Where values stand in JSON text: exact bytes of documents, members and elements, without building trees.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use crate::item::{MAX_ITEMS, too_many};

/// Values one after another, with or without white space between them, as byte ranges. Ends with an error's text at the
/// first place that is not JSON.
pub(crate) fn values(text: &str) -> impl Iterator<Item = Result<&str, String>> {
    let mut stream = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = stream.next()?;
        let from = at;
        at = stream.byte_offset();
        Some(match found {
            Ok(_) => Ok(text[from..at].trim_ascii()),
            Err(error) => Err(error.to_string()),
        })
    })
}

/// The one value that `text` holds, without the white space around it.
pub(crate) fn whole(text: &str) -> Result<&str, String> {
    let mut found = values(text);
    let first = found.next().unwrap_or_else(|| Err("there is no JSON value".to_owned()))?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err("something follows the JSON value".to_owned()),
    }
}

/// The value at the start of `text`, and what follows it.
fn first(text: &str) -> Result<(&str, &str), String> {
    let mut stream = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match stream.next() {
        Some(Ok(_)) => {
            let (value, rest) = text.split_at(stream.byte_offset());
            Ok((value.trim_ascii(), rest.trim_ascii_start()))
        }
        Some(Err(error)) => Err(error.to_string()),
        None => Err("a value is missing".to_owned()),
    }
}

/// Elements of a JSON array that is known to be valid, each as its own text.
pub(crate) fn elements(array: &str) -> Result<Vec<&str>, String> {
    let inner = array.trim_ascii().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let mut rest = inner.ok_or("a JSON array is expected")?.trim_ascii();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() == MAX_ITEMS {
            return Err(too_many());
        }
        let (value, after) = first(rest)?;
        found.push(value);
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return Err("a comma is missing between elements".to_owned()),
        };
    }
    Ok(found)
}

/// Members of a JSON object that is known to be valid: names, and the text of each value.
pub(crate) fn members(object: &str) -> Result<Vec<(Cow<'_, str>, &str)>, String> {
    let inner = object.trim_ascii().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let mut rest = inner.ok_or("a JSON object is expected")?.trim_ascii();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = first(rest)?;
        let name = string(name).ok_or("the name of a member is not text")?;
        let after = after.strip_prefix(':').ok_or("a colon is missing after a name")?;
        let (value, after) = first(after)?;
        found.push((name, value));
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return Err("a comma is missing between members".to_owned()),
        };
    }
    Ok(found)
}

/// The text of a JSON string; `None` where `value` is something else.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains(['\\', '"']) {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

/// What `value` says as plain text: a string without its quotes, any other scalar as it is written, `None` for null, objects
/// and arrays.
pub(crate) fn scalar(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => string(value),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// Kind of a value, for refusals.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exact() {
        let elements = elements(r#" [ {"a" : 1} ,"x,]", [1, 2],3 ] "#).unwrap();
        assert_eq!(elements, [r#"{"a" : 1}"#, r#""x,]""#, "[1, 2]", "3"]);
        let members = members(r#"{"a":1.50, "b\u0041" : {"c":"}"} }"#).unwrap();
        let members: Vec<_> = members.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
        assert_eq!(members, [("a", "1.50"), ("bA", r#"{"c":"}"}"#)]);
        let values: Vec<_> = values("{\"a\":1}{\"b\":2}\n 3 x").collect();
        assert_eq!(values[..3], [Ok("{\"a\":1}"), Ok("{\"b\":2}"), Ok("3")]);
        assert!(values[3].is_err() && values.len() == 4);
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(whole(&deep).unwrap().len(), 100_000);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}|[\\[\\]{}\",:0-9a ]{0,40}") {
            drop(whole(&text).map(|value| (elements(value), members(value))));
            drop((elements(&text), members(&text), scalar(&text)));
            values(&text).for_each(drop);
        }
    }
}
