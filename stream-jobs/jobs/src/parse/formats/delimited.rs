//! Columns: CSV with any separator (RFC 4180), and LTSV. Blanks may stand before a quoted value.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Found, Stopped};

/// Columns and what separates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delimited {
    pub(crate) separator: String,
    /// Guards separators within a value, twice it stands for itself.
    pub(crate) quote: Option<char>,
    /// Names; columns beyond them are `column_N`.
    pub(crate) columns: Vec<String>,
}

impl Delimited {
    pub(crate) fn read<'t>(&'t self, text: &'t str) -> Result<Found<'t>, Stopped> {
        let mut found = Found::default();
        let (mut at, mut number) = (0, 0);
        loop {
            let (value, end) = self.value(text, at)?;
            number += 1;
            if !value.is_empty() {
                match self.columns.get(number - 1) {
                    Some(name) => found.fields.push(name.as_str(), Value::String(value)),
                    None => found.fields.push(format!("column_{number}"), Value::String(value)),
                }
            }
            match text[end..].strip_prefix(self.separator.as_str()) {
                Some(rest) => at = text.len() - rest.len(),
                // What stands on further lines is another record, which the line keeps.
                None => break,
            }
        }
        if number < self.columns.len() && self.columns.len() > 1 && number == 1 {
            return Err(Stopped::new(text.len(), "a separator of columns"));
        }
        Ok(found)
    }

    fn value<'t>(&self, text: &'t str, at: usize) -> Result<(Cow<'t, str>, usize), Stopped> {
        let rest = &text[at..];
        if let Some(quote) = self.quote {
            if let Some(inner) = rest.strip_prefix(quote) {
                return self.quoted(text, inner, quote);
            }
            // Behind blanks a quote may as well be a part of a bare value, which then does not end in one.
            let apart = rest.trim_start_matches(' ');
            if let Some(inner) = apart.strip_prefix(quote).filter(|_| !self.separator.starts_with(' '))
                && let Ok(read) = self.quoted(text, inner, quote)
            {
                return Ok(read);
            }
        }
        let len = rest.find(self.separator.as_str()).unwrap_or(rest.len());
        let len = memchr::memchr(b'\n', &rest.as_bytes()[..len]).unwrap_or(len);
        let len = len - usize::from(rest[..len].ends_with('\r'));
        Ok((Cow::Borrowed(&rest[..len]), at + len))
    }

    /// The value whose opening quote stands before `inner`, and where it ends.
    fn quoted<'t>(
        &self,
        text: &'t str,
        inner: &'t str,
        quote: char,
    ) -> Result<(Cow<'t, str>, usize), Stopped> {
        let mut from = 0;
        loop {
            let Some(len) = inner[from..].find(quote) else {
                return Err(Stopped::new(text.len(), "a closing quote"));
            };
            let end = from + len;
            let after = end + quote.len_utf8();
            if inner[after..].starts_with(quote) {
                from = after + quote.len_utf8();
                continue;
            }
            let after = text.len() - inner.len() + after;
            let ends = text[after..].is_empty() || text[after..].starts_with(['\n', '\r']);
            if !ends && !text[after..].starts_with(self.separator.as_str()) {
                return Err(Stopped::new(after, "a separator of columns, or the end"));
            }
            let (own, twice) = (&inner[..end], format!("{quote}{quote}"));
            let value = match own.contains(quote) {
                true => Cow::Owned(own.replace(&twice, &quote.to_string())),
                false => Cow::Borrowed(own),
            };
            return Ok((value, after));
        }
    }
}

/// `label:value`, separated by tabs.
pub(crate) fn ltsv(text: &str) -> Result<Found<'_>, Stopped> {
    let mut found = Found::default();
    let mut at = 0;
    for column in text.split('\t') {
        if !column.is_empty() {
            let Some((label, value)) = column.split_once(':').filter(|(label, _)| !label.is_empty()) else {
                return Err(Stopped::new(at, "label:value"));
            };
            if value != "-" {
                found.fields.push(label, Value::String(Cow::Borrowed(value)));
            }
        }
        at += column.len() + 1;
    }
    Ok(found)
}
