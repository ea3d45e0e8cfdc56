//! Which letters are meant: `--where reason=no_match,stream=web`, and by what they are counted.

use std::borrow::Cow;

use anyhow::bail;
use millrace_schemas::dead::DeadLetter;

/// What a letter can be chosen and counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Tenant,
    Stream,
    Stage,
    Reason,
    Source,
    Parser,
}

impl Field {
    const ALL: [Field; 6] =
        [Field::Tenant, Field::Stream, Field::Stage, Field::Reason, Field::Source, Field::Parser];

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Tenant => "tenant",
            Field::Stream => "stream",
            Field::Stage => "stage",
            Field::Reason => "reason",
            Field::Source => "source",
            Field::Parser => "parser",
        }
    }

    pub(super) fn named(name: &str) -> anyhow::Result<Field> {
        let name = name.trim();
        let found = Field::ALL.into_iter().find(|field| field.name() == name);
        let known = Field::ALL.map(Field::name).join(", ");
        found.ok_or_else(|| anyhow::anyhow!("{name:?} is no field of a dead letter; those are {known}"))
    }

    /// Its text; `-` where no parser came so far.
    pub(super) fn of(self, letter: &DeadLetter) -> Cow<'_, str> {
        match self {
            Field::Tenant => letter.tenant.as_str().into(),
            Field::Stream => letter.stream.as_str().into(),
            Field::Stage => letter.stage.as_str().into(),
            Field::Reason => letter.reason.as_str().into(),
            Field::Source => known(&letter.parser).into(),
            Field::Parser => format!("{}/{}", known(&letter.parser), letter.parser_version).into(),
        }
    }
}

fn known(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Conditions that all hold.
#[derive(Debug, Default)]
pub(super) struct Choice(Vec<(Field, String)>);

impl Choice {
    pub(super) fn read(conditions: &[String]) -> anyhow::Result<Choice> {
        let mut all = Vec::new();
        for condition in conditions.iter().flat_map(|own| own.split(',')).filter(|own| !own.trim().is_empty())
        {
            let Some((field, value)) = condition.split_once('=') else {
                bail!("{condition:?} is no condition: write FIELD=VALUE, as in reason=no_match");
            };
            all.push((Field::named(field)?, value.trim().to_owned()));
        }
        Ok(Choice(all))
    }

    pub(super) fn fits(&self, letter: &DeadLetter) -> bool {
        self.0.iter().all(|(field, value)| field.of(letter) == value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        let mut letter = DeadLetter::foreign("logs.raw", (1, 2), "default", "parse", String::new());
        (letter.reason, letter.stream) = ("no_match".into(), "web".into());
        (letter.parser, letter.parser_version) = ("shop".into(), 3);
        letter
    }

    fn fits(conditions: &[&str]) -> bool {
        let conditions: Vec<String> = conditions.iter().map(|own| (*own).to_owned()).collect();
        Choice::read(&conditions).unwrap().fits(&letter())
    }

    #[test]
    fn conditions_all_hold() {
        assert!(fits(&[]));
        assert!(fits(&["reason=no_match, stream=web", "source=shop", "parser=shop/3"]));
        assert!(!fits(&["reason=no_match,stream=db"]));
        assert!(!fits(&["parser=shop"]));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for wrong in ["reason", "colour=red", "=x"] {
            let error = Choice::read(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("reason"), "{error}");
        }
    }
}
