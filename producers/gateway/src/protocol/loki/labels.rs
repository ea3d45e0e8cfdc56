//! Label sets as Prometheus writes them: `{name="value", other="text"}`, values quoted as in Go.

use crate::item::Malformed;

/// Pairs of a label set.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
    let malformed = |what: &str| {
        let shown: String = text.chars().take(128).collect();
        Malformed(format!("error parsing labels {shown:?}: {what}"))
    };
    let inner = text.trim().strip_prefix('{').ok_or_else(|| malformed("'{' is missing"))?;
    let mut rest = inner.trim_start();
    let mut labels = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            if !after.trim().is_empty() {
                return Err(malformed("something follows '}'"));
            }
            return Ok(labels);
        }
        let (name, value) = rest.split_once('=').ok_or_else(|| malformed("'=' is missing"))?;
        let name = name.trim();
        let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | ':' | '-');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(malformed("a name is missing or has odd characters"));
        }
        let (value, after) =
            quoted(value.trim_start()).ok_or_else(|| malformed("a value is not quoted text"))?;
        labels.push((name.to_owned(), value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(malformed("',' or '}' is missing after a value")),
        }
    }
}

/// A quoted text at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.split_once('`').map(|(value, rest)| (value.to_owned(), rest));
    }
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\n' => return None,
            '\\' => {
                let (_, escape) = chars.next()?;
                let mut code = |digits: usize, radix: u32| {
                    let hex: String = chars.by_ref().take(digits).map(|(_, char)| char).collect();
                    u32::from_str_radix(&hex, radix).ok().and_then(char::from_u32)
                };
                value.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '\\' | '"' | '\'' => escape,
                    'x' => code(2, 16)?,
                    'u' => code(4, 16)?,
                    'U' => code(8, 16)?,
                    _ => return None,
                });
            }
            _ => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let pairs = |labels: Vec<(String, String)>| {
            labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(",")
        };
        read(text).map_or("!".to_owned(), pairs)
    }

    #[test]
    fn label_sets_are_read() {
        assert_eq!(show("{}"), "");
        assert_eq!(show(r#" { a="1", b = "x\"\\\n", } "#), r#"a="1",b="x\"\\\n""#);
        assert_eq!(show(r#"{a=`q"`,b="\u00e9"}"#), r#"a="q\"",b="é""#);
        for bad in [
            "",
            "{",
            "{a}",
            "{a=1}",
            r#"{a="1"#,
            r#"{a="1" b="2"}"#,
            r#"{="1"}"#,
            r#"{a="1"}x"#,
            r#"{a="\q"}"#,
        ] {
            assert_eq!(show(bad), "!", "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_labels_or_refused(text in "\\{?([a-z]=\"[a-z\\\\\"é]{0,5}\"?,?)*\\}?|.{0,30}") {
            drop(read(&text));
        }
    }
}
