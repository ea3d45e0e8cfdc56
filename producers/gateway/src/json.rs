//! Where values stand in JSON text: exact bytes of documents, members and elements, without building trees.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

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
pub(crate) fn elements(array: &str) -> Result<impl Iterator<Item = Result<&str, String>>, String> {
    let inner = array.trim_ascii().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    Ok(parts(inner.ok_or("a JSON array is expected")?, first))
}

/// A member of an object: its name, and the text of its value.
type Member<'a> = (Cow<'a, str>, &'a str);

/// Members of a JSON object that is known to be valid.
pub(crate) fn members(object: &str) -> Result<impl Iterator<Item = Result<Member<'_>, String>>, String> {
    let inner = object.trim_ascii().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    Ok(parts(inner.ok_or("a JSON object is expected")?, |rest| {
        let (name, after) = first(rest)?;
        let name = string(name).ok_or("the name of a member is not text")?;
        let after = after.strip_prefix(':').ok_or("a colon is missing after a name")?;
        let (value, after) = first(after)?;
        Ok(((name, value), after))
    }))
}

/// Values of the members with these names, of several with one name the first. Others are passed over: an object may have
/// millions.
pub(crate) fn named<'a, const N: usize>(
    object: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], String> {
    let mut found = [None; N];
    for member in members(object)? {
        let (name, value) = member?;
        if let Some(at) = names.iter().position(|own| *own == name) {
            found[at].get_or_insert(value);
        }
    }
    Ok(found)
}

/// What stands between commas, each read by `one`, which gives what follows it, too.
fn parts<'a, T>(
    inner: &'a str,
    one: impl Fn(&'a str) -> Result<(T, &'a str), String>,
) -> impl Iterator<Item = Result<T, String>> {
    let mut rest = inner.trim_ascii();
    let mut next = move || {
        let (part, after) = one(std::mem::take(&mut rest))?;
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return Err("a comma is missing between parts".to_owned()),
        };
        Ok((part, rest.is_empty()))
    };
    let mut done = inner.trim_ascii().is_empty();
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let found = next();
        done = found.as_ref().is_ok_and(|(_, is_last)| *is_last) || found.is_err();
        Some(found.map(|(part, _)| part))
    })
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
pub(crate) fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "text",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(_) => "a number",
        None => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exact() {
        let elements = elements(r#" [ {"a" : 1} ,"x,]", [1, 2],3 ] "#).unwrap().map(Result::unwrap);
        assert_eq!(elements.collect::<Vec<_>>(), [r#"{"a" : 1}"#, r#""x,]""#, "[1, 2]", "3"]);
        let object = r#"{"a":1.50, "b\u0041" : {"c":"}"} ,"a":2}"#;
        let members: Vec<_> = members(object).unwrap().map(Result::unwrap).collect();
        let wanted = [("a", "1.50"), ("bA", r#"{"c":"}"}"#), ("a", "2")];
        assert_eq!(members, wanted.map(|(name, value)| (name.into(), value)));
        assert_eq!(named(object, ["bA", "a", "c"]), Ok([Some(r#"{"c":"}"}"#), Some("1.50"), None]));
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
            for text in [whole(&text).unwrap_or_default(), &text] {
                elements(text).into_iter().flatten().for_each(drop);
                members(text).into_iter().flatten().for_each(drop);
                drop((named(text, ["a"]), scalar(text), kind(text)));
            }
            values(&text).for_each(drop);
        }
    }
}
