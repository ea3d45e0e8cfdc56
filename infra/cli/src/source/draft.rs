//! Sources of a file on their way into `millrace.control`: what of them must hold before they are set.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use millrace_jobs::parse::{Format, Source};
use millrace_schemas::source::SourceEntry;

/// Larger ones are refused: a record of the topic takes a megabyte.
const MOST_BYTES: usize = 512 << 10;

/// A source of a file, and its record.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) source: Source,
    pub(super) entry: SourceEntry,
}

/// The sources of `file`, as they would be set at `now`.
pub(super) fn read(file: &Path, now: i64) -> anyhow::Result<Vec<Draft>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("could not read the sources in {}", file.display()))?;
    drafts(&text, now, |folder| crate::parse::patterns(file, folder))
        .with_context(|| format!("in {}", file.display()))
}

fn drafts(
    text: &str,
    now: i64,
    patterns: impl Fn(&str) -> Result<Vec<String>, String>,
) -> anyhow::Result<Vec<Draft>> {
    // All at once first: names and streams of a file are held against each other.
    let n_sources = Source::list(text, &patterns)?.len();
    let tables: toml::Table = text.parse()?;
    let tables = tables.get("source").and_then(toml::Value::as_array).into_iter().flatten();
    let draft = |table: &toml::Value| {
        let alone = toml::Table::from_iter([("source".to_owned(), toml::Value::Array(vec![table.clone()]))]);
        // As it was written, with its comments, where that is possible.
        let toml = if n_sources == 1 { text.to_owned() } else { toml::to_string(&alone)? };
        let mut texts = Vec::new();
        for folder in Source::folders(table.as_table().unwrap_or(&toml::Table::new())) {
            texts.extend(patterns(folder).map_err(anyhow::Error::msg)?);
        }
        let mut entry = SourceEntry { version: 0, toml, patterns: texts, set: now };
        let source = compile(&entry).map_err(anyhow::Error::msg)?;
        entry.version = source.version();
        Ok(Draft { source, entry })
    };
    tables.map(draft).collect()
}

/// The source of a record.
pub(super) fn compile(entry: &SourceEntry) -> Result<Source, String> {
    let mut all =
        Source::list(&entry.toml, |_| Ok(entry.patterns.clone())).map_err(|error| error.to_string())?;
    if all.len() == 1 { Ok(all.remove(0)) } else { Err("is not one source".to_owned()) }
}

impl Draft {
    pub(super) fn name(&self) -> &str {
        self.source.name()
    }

    /// Whether the very same is set.
    pub(super) fn is_set(&self, known: &BTreeMap<String, SourceEntry>) -> bool {
        known
            .get(self.name())
            .is_some_and(|own| SourceEntry { set: self.entry.set, ..own.clone() } == self.entry)
    }

    /// What forbids to set it, beside what is `known` and the other `drafts`.
    pub(super) fn faults(&self, known: &BTreeMap<String, SourceEntry>, drafts: &[Draft]) -> Vec<String> {
        let name = self.name();
        let mut faults: Vec<String> = self
            .source
            .examples()
            .iter()
            .filter_map(|example| example.check(&self.source).err())
            .map(|failure| format!("{name}: an example does not hold: {failure}"))
            .collect();
        if Format::named(name).is_some() {
            faults.push(format!("{name}: is the name of a format, and events bear it as their parser"));
        }
        let size = self.entry.toml.len() + self.entry.patterns.iter().map(String::len).sum::<usize>();
        if size > MOST_BYTES {
            faults.push(format!(
                "{name}: takes {size} bytes with its patterns, at most {MOST_BYTES} can be set"
            ));
        }
        if let Some(own) =
            known.get(name).filter(|own| !self.is_set(known) && self.entry.version <= own.version)
        {
            faults.push(format!(
                "{name}: version {} is not above {}, which is set; raise it, events name it",
                self.entry.version, own.version
            ));
        }
        // Those of the same file take the place of what is set of their names.
        let stays = |other: &String| other != name && drafts.iter().all(|own| own.name() != other);
        for (other, entry) in known.iter().filter(|(other, _)| stays(other)) {
            let streams = compile(entry).map(|source| source.streams().to_vec()).unwrap_or_default();
            if let Some(stream) = self.source.streams().iter().find(|stream| streams.contains(stream)) {
                faults.push(format!("{name}: its stream {stream} is read by {other}, which is set"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, version: i32, rest: &str) -> Draft {
        let text =
            format!("[[source]]\nname = \"{name}\"\nversion = {version}\nsteps = [\"logfmt\"]\n{rest}");
        drafts(&text, 5, |_| Ok(vec![])).unwrap().remove(0)
    }

    #[track_caller]
    fn check(draft: &Draft, known: &[&Draft], expected: &[&str]) {
        let known = known.iter().map(|own| (own.name().to_owned(), own.entry.clone())).collect();
        let faults = draft.faults(&known, &[]);
        assert_eq!(faults.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_set_has_a_new_version_and_examples_that_hold() {
        let first = one("shop", 1, "streams = [\"web\"]\n");
        check(&first, &[], &[]);
        check(&first, &[&first], &[]);
        check(
            &one("shop", 1, "# other\n"),
            &[&first],
            &["shop: version 1 is not above 1, which is set; raise it, events name it"],
        );
        check(&one("shop", 2, ""), &[&first], &[]);
        check(
            &one("other", 1, "streams = [\"web\"]\n"),
            &[&first],
            &["other: its stream web is read by shop, which is set"],
        );
        check(
            &one("shop", 1, "[[source.example]]\nline = \"a=1\"\nexpect = { a = \"2\" }\n"),
            &[],
            &["shop: an example does not hold: a=1\n  a is \"1\", not \"2\""],
        );
        check(
            &one("json", 1, ""),
            &[],
            &["json: is the name of a format, and events bear it as their parser"],
        );
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
    }
}
