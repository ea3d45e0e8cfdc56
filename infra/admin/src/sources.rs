//! Sources on their way into `millrace.control`: what of them must hold before they are set. Free of I/O.

use std::cell::Cell;

use millrace_jobs::parse::{Format, Source};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::source::SourceEntry;
use serde_json::{Value, json};

use crate::{Decision, Expected, Kind, Known, Refusal, minute};

/// Larger ones are refused: a record of the topic takes a megabyte.
pub const MOST_BYTES: usize = 512 << 10;

/// A source, and its record.
#[derive(Debug)]
pub struct Draft {
    /// Compiled.
    pub source: Source,
    /// As it would be set.
    pub entry: SourceEntry,
}

/// The sources of a file, as they would be set at `now`. `patterns` gives the texts of a folder that a `patterns_dir` names.
///
/// # Errors
/// The first thing that is wrong, with its path.
pub fn drafts(
    text: &str,
    now: i64,
    patterns: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Result<Vec<Draft>, String> {
    // All at once first: names and streams of a file are held against each other.
    let n_sources = Source::list(text, &patterns).map_err(|error| error.to_string())?.len();
    let tables: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let tables = tables.get("source").and_then(toml::Value::as_array).into_iter().flatten();
    let draft = |table: &toml::Value| {
        let alone = toml::Table::from_iter([("source".to_owned(), toml::Value::Array(vec![table.clone()]))]);
        // As it was written, with its comments, where that is possible.
        let toml = match n_sources {
            1 => text.to_owned(),
            _ => toml::to_string(&alone).map_err(|error| error.to_string())?,
        };
        let mut texts = Vec::new();
        for folder in Source::folders(table.as_table().unwrap_or(&toml::Table::new())) {
            texts.extend(patterns(folder)?);
        }
        Draft::new(toml, texts, now)
    };
    tables.map(draft).collect()
}

/// The sources of a request. Folders of this machine are not read for it: the texts of those that it names come along.
///
/// # Errors
/// The first thing that is wrong, with its path.
pub fn sent(toml: &str, patterns: Option<&[String]>, now: i64) -> Result<Vec<Draft>, String> {
    let texts = patterns.unwrap_or_default();
    let named = Cell::new(false);
    let mut drafts = drafts(toml, now, |_| {
        named.set(true);
        match patterns {
            Some(texts) => Ok(texts.to_vec()),
            None => Err("names a folder, which is not read here: send its texts as \"patterns\"".to_owned()),
        }
    })?;
    if !named.get() && !texts.is_empty() {
        return Err("patterns came along, and no patterns_dir asks for them".to_owned());
    }
    // They are those of all folders together, and not of each.
    for draft in drafts.iter_mut().filter(|draft| !draft.entry.patterns.is_empty()) {
        draft.entry.patterns = texts.to_vec();
    }
    Ok(drafts)
}

/// The source of a record.
///
/// # Errors
/// The first thing that is wrong, with its path.
pub fn compile(entry: &SourceEntry) -> Result<Source, String> {
    let mut all =
        Source::list(&entry.toml, |_| Ok(entry.patterns.clone())).map_err(|error| error.to_string())?;
    if all.len() == 1 { Ok(all.remove(0)) } else { Err(format!("has {} sources, not one", all.len())) }
}

impl Draft {
    /// The one source of a file, with the texts of the files in its `patterns_dir`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn new(toml: String, patterns: Vec<String>, now: i64) -> Result<Draft, String> {
        let mut entry = SourceEntry { version: 0, toml, patterns, set: now };
        let source = compile(&entry)?;
        entry.version = source.version();
        Ok(Draft { source, entry })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Whether the very same is set.
    pub fn is_set(&self, known: &Known) -> bool {
        let own = known.sources.get(self.name());
        own.is_some_and(|own| SourceEntry { set: self.entry.set, ..own.clone() } == self.entry)
    }

    /// What forbids to set it, beside what is `known` and the other `drafts`.
    fn faults(&self, known: &Known, drafts: &[Draft]) -> Vec<String> {
        let (name, mut faults) = (self.name(), self.failing());
        if Format::named(name).is_some() {
            faults.push(format!("{name}: is the name of a format, and events bear it as their parser"));
        }
        let size = self.entry.toml.len() + self.entry.patterns.iter().map(String::len).sum::<usize>();
        if size > MOST_BYTES {
            faults.push(format!(
                "{name}: takes {size} bytes with its patterns, at most {MOST_BYTES} can be set"
            ));
        }
        let set = known.sources.get(name).filter(|_| !self.is_set(known));
        if let Some(own) = set.filter(|own| self.entry.version <= own.version) {
            faults.push(format!(
                "{name}: version {} is not above {}, which is set; raise it, events name it",
                self.entry.version, own.version
            ));
        }
        // Those of the same file take the place of what is set of their names.
        let stays = |other: &String| other != name && drafts.iter().all(|own| own.name() != other);
        for (other, entry) in known.sources.iter().filter(|(other, _)| stays(other)) {
            let streams = compile(entry).map(|source| source.streams().to_vec()).unwrap_or_default();
            if let Some(stream) = self.source.streams().iter().find(|stream| streams.contains(stream)) {
                faults.push(format!("{name}: its stream {stream} is read by {other}, which is set"));
            }
        }
        faults
    }

    /// Its own examples that do not hold.
    fn failing(&self) -> Vec<String> {
        let failures = self.source.examples().iter().filter_map(|example| example.check(&self.source).err());
        failures.map(|failure| format!("{}: an example does not hold: {failure}", self.name())).collect()
    }

    fn row(&self) -> Value {
        json!({"name": self.name(), "version": self.entry.version, "set": minute(self.entry.set),
               "streams": self.source.streams().join(","), "examples": self.source.examples().len()})
    }
}

/// Sets `drafts`, once their own examples hold; those that are set already stay. Gives for each its row, and whether it is new.
///
/// # Errors
/// What forbids it; of `expected`, where another version is set.
pub fn set(known: &Known, drafts: &[Draft], expected: Expected) -> Decision<Vec<(Value, bool)>> {
    for draft in drafts.iter().filter(|draft| !draft.is_set(known)) {
        known.expect_source(draft.name(), expected)?;
    }
    let reasons: Vec<String> = drafts.iter().flat_map(|draft| draft.faults(known, drafts)).collect();
    if !reasons.is_empty() {
        return Err(Refusal { kind: Kind::Wrong, reasons });
    }
    let new = drafts.iter().filter(|draft| !draft.is_set(known));
    let record = |draft: &Draft| {
        (ControlRecord::source_key(draft.name()), Some(ControlRecord::source(draft.name(), &draft.entry)))
    };
    let changes = new.map(record).collect();
    Ok((changes, drafts.iter().map(|draft| (draft.row(), !draft.is_set(known))).collect()))
}

/// Removes the source `name`.
///
/// # Errors
/// None of that name, or not the one expected, is set; or streams are bound to it.
pub fn remove(known: &Known, name: &str, expected: Expected) -> Decision<()> {
    known.source(name)?;
    known.expect_source(name, expected)?;
    let bound: Vec<String> =
        known.bound_to(name).map(|(tenant, stream)| format!("{stream} of {tenant}")).collect();
    if !bound.is_empty() {
        let streams = bound.join(", ");
        let reason =
            format!("{name} reads streams that are bound to it: {streams}; bind them to another one first");
        return Err(Refusal::new(Kind::Wrong, reason));
    }
    Ok((vec![(ControlRecord::source_key(name), None)], ()))
}

impl Known {
    fn expect_source(&self, name: &str, expected: Expected) -> Result<(), Refusal> {
        let set = self.sources.get(name).map(|entry| entry.version.into());
        expected.hold(&format!("source {name}"), set)
    }

    /// The source `name`, as it was set.
    ///
    /// # Errors
    /// None is set.
    pub fn source(&self, name: &str) -> Result<&SourceEntry, Refusal> {
        let missing =
            || Refusal::new(Kind::Missing, format!("no source {name:?} is set; list those that are"));
        self.sources.get(name).ok_or_else(missing)
    }

    /// Sources that are set, for people and programs.
    pub fn source_rows(&self) -> Vec<Value> {
        let rows = self.sources.iter().map(|(name, entry)| {
            let streams = compile(entry).map(|source| source.streams().join(","));
            json!({"name": name, "version": entry.version, "set": minute(entry.set),
                   "streams": streams.unwrap_or_else(|what| format!("not read: {what}"))})
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::stream::StreamEntry;

    use super::*;

    fn one(name: &str, version: i32, rest: &str) -> Draft {
        let text =
            format!("[[source]]\nname = \"{name}\"\nversion = {version}\nsteps = [\"logfmt\"]\n{rest}");
        drafts(&text, 5, |_| Ok(vec![])).unwrap().remove(0)
    }

    fn known(set: &[&Draft]) -> Known {
        let sources = set.iter().map(|own| (own.name().to_owned(), own.entry.clone())).collect();
        Known { sources, ..Known::default() }
    }

    #[track_caller]
    fn check(draft: Draft, set: &[&Draft], expected: &[&str]) {
        let decided = super::set(&known(set), &[draft], Expected::Any);
        let reasons = decided.err().map(|refusal| refusal.reasons).unwrap_or_default();
        assert_eq!(reasons, expected);
    }

    #[test]
    fn what_is_set_has_a_new_version_and_examples_that_hold() {
        let first = || one("shop", 1, "streams = [\"web\"]\n");
        check(first(), &[], &[]);
        check(first(), &[&first()], &[]);
        check(
            one("shop", 1, "# other\n"),
            &[&first()],
            &["shop: version 1 is not above 1, which is set; raise it, events name it"],
        );
        check(one("shop", 2, ""), &[&first()], &[]);
        check(
            one("other", 1, "streams = [\"web\"]\n"),
            &[&first()],
            &["other: its stream web is read by shop, which is set"],
        );
        check(
            one("shop", 1, "[[source.example]]\nline = \"a=1\"\nexpect = { a = \"2\" }\n"),
            &[],
            &["shop: an example does not hold: a=1\n  a is \"1\", not \"2\""],
        );
        check(
            one("json", 1, ""),
            &[],
            &["json: is the name of a format, and events bear it as their parser"],
        );
    }

    #[test]
    fn a_change_that_was_meant_for_another_version_is_refused() {
        let (set, next) = (known(&[&one("shop", 2, "")]), [one("shop", 3, "")]);
        let kind = |expected| super::set(&set, &next, expected).err().map(|refusal| refusal.kind);
        assert_eq!((kind(Expected::Any), kind(Expected::Version(2))), (None, None));
        assert_eq!(
            (kind(Expected::Version(1)), kind(Expected::Nothing)),
            (Some(Kind::Stale), Some(Kind::Stale))
        );
        // What was done by the request that is sent again.
        let same = super::set(&set, &[one("shop", 2, "")], Expected::Version(1)).unwrap();
        assert!(same.0.is_empty() && !same.1[0].1, "{same:?}");
        assert_eq!(remove(&set, "shop", Expected::Version(1)).unwrap_err().kind, Kind::Stale);
        assert_eq!(remove(&set, "other", Expected::Any).unwrap_err().kind, Kind::Missing);
        assert_eq!(remove(&set, "shop", Expected::Version(2)).unwrap().0, [("source/shop".to_owned(), None)]);
    }

    #[test]
    fn a_source_that_streams_are_bound_to_stays() {
        let mut set = known(&[&one("shop", 1, "")]);
        let entry = |source: &str| StreamEntry { source: Some(source.into()), note: None, set: 0 };
        set.streams.insert(("acme".into(), "web".into()), entry("shop"));
        set.streams.insert(("acme".into(), "app".into()), entry("json"));
        let refusal = remove(&set, "shop", Expected::Any).unwrap_err();
        assert!(refusal.kind == Kind::Wrong && refusal.reasons[0].contains(": web of acme;"), "{refusal}");
        set.streams.clear();
        assert!(remove(&set, "shop", Expected::Any).is_ok());
    }

    #[test]
    fn a_request_brings_its_patterns_along() {
        let toml = "[[source]]\nname = \"a\"\npatterns_dir = [\"p\", \"q\"]\nsteps = [{ grok = { match = '%{OWN:x}' } }]\n";
        let texts = ["OWN a+".to_owned()];
        assert_eq!(sent(toml, Some(&texts), 0).unwrap()[0].entry.patterns, texts, "once");
        assert!(sent(toml, None, 0).unwrap_err().contains("patterns"));
        assert!(sent(&one("b", 1, "").entry.toml, Some(&texts), 0).is_err());
    }

    #[test]
    fn each_source_of_a_file_stands_by_itself() {
        let text = "[[source]]\nname = \"a\"\npatterns_dir = \"p\"\nsteps = [{ grok = { match = '%{OWN:x}' } }]\n\
                    [[source]]\nname = \"b\"\nversion = 3\nsteps = [\"json\"]\n[[source.example]]\nline = '{}'\n";
        let drafts = drafts(text, 5, |folder| Ok(vec![format!("OWN {folder}+")])).unwrap();
        let [a, b] = &drafts[..] else { panic!("{drafts:?}") };
        assert_eq!((a.entry.patterns.as_slice(), b.entry.patterns.len()), (&["OWN p+".to_owned()][..], 0));
        assert!(compile(&a.entry).unwrap().read("ppp", 0).is_ok());
        let b = compile(&b.entry).unwrap();
        assert_eq!((b.name(), b.version(), b.examples().len()), ("b", 3, 1));
        let set = set(&Known::default(), &drafts, Expected::Any).unwrap();
        assert_eq!((set.0.len(), set.1[1].0["examples"].clone()), (2, 1.into()));
    }
}
