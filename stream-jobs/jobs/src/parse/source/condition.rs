//! What a `when` asks.

use super::line::Line;
use super::settings::{Settings, SourceError};
use crate::parse::found::Stopped;
use crate::pattern::{Dialect, Pattern, SyntaxError, TooComplex};

/// All that is said must hold.
#[derive(Debug)]
pub(super) struct Condition {
    /// The message where none is named.
    field: Option<String>,
    exists: Option<bool>,
    equals: Vec<String>,
    contains: Vec<String>,
    starts_with: Vec<String>,
    /// And its text.
    matches: Option<(Pattern, String)>,
    not: bool,
}

impl Condition {
    pub(super) fn new(settings: &mut Settings) -> Result<Condition, SourceError> {
        let matches = settings.text("matches")?;
        let matches = matches.map(|own| Ok((Pattern::new(&own, Dialect::Perl)?, own))).transpose();
        let exists = settings.take("exists");
        let condition = Condition {
            field: settings.text("field")?,
            exists: exists.as_ref().and_then(toml::Value::as_bool),
            equals: settings.texts("equals")?,
            contains: settings.texts("contains")?,
            starts_with: settings.texts("starts_with")?,
            matches: matches.or_else(|error: SyntaxError| settings.fault("matches", error.to_string()))?,
            not: settings.truth("not")?,
        };
        if exists.is_some() && condition.exists.is_none() {
            return settings.fault("exists", "is neither true nor false");
        }
        let lists = [&condition.equals, &condition.contains, &condition.starts_with];
        let empty = condition.exists.is_none()
            && condition.matches.is_none()
            && lists.iter().all(|list| list.is_empty());
        if empty {
            return settings.fault("equals", "is missing, as are exists, contains, starts_with and matches");
        }
        Ok(condition)
    }

    pub(super) fn holds(&self, line: &Line<'_>) -> Result<bool, Stopped> {
        let text = line.text_of(self.field.as_deref().unwrap_or("message"));
        let any = |all: &[String], is: fn(&str, &str) -> bool| {
            all.is_empty() || text.as_deref().is_some_and(|text| all.iter().any(|own| is(text, own)))
        };
        let mut holds = self.exists.is_none_or(|exists| exists == text.is_some())
            && any(&self.equals, |text, own| text == own)
            && any(&self.contains, |text, own| text.contains(own))
            && any(&self.starts_with, |text, own| text.starts_with(own));
        if let (true, Some((pattern, own))) = (holds, &self.matches) {
            let is_match = text.as_deref().map(|text| pattern.is_match(text)).transpose();
            holds = is_match.map_err(|TooComplex| Stopped::too_complex(own))?.unwrap_or(false);
        }
        Ok(holds != self.not)
    }
}
