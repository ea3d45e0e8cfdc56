//! Proposes how to read lines that nobody has described.
//!
//! A format that reads nearly all of them is proposed by name; so are columns that a `#Fields:` line names, and objects of
//! JSON behind a beginning. Where a format reads more than half, it is proposed with another way for the rest. Otherwise
//! lines are cut into pieces (times, addresses, numbers, quoted texts, words), and the longest beginning that most lines
//! share becomes a grok expression, unless they are of a time, a level and a message: pieces that are the same in all of them are text, the others fields, what is behind is
//! the message. What is proposed has been tried.

mod pieces;
mod shared;

use shared::Shared;

use super::found::Found;
use super::time::{Clock, Zone};
use super::{Format, Source};
use crate::grok::Library;

/// Lines that are looked at.
const MOST_LINES: usize = 1_000;
/// Of a hundred lines, so many must be read by what is proposed.
const ENOUGH: usize = 95;
/// Fewer lines than this are no kind of their own.
const KIND: usize = 3;

/// What is proposed, as the steps of a source in TOML, and how many of the lines it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// `["json"]`, or steps with settings.
    pub steps: String,
    /// Lines that it reads.
    pub read: usize,
    /// Lines that were looked at.
    pub of: usize,
    /// Lines in which it finds a time.
    pub timed: usize,
}

impl Suggestion {
    /// `steps` over `lines`; `None` where they are no steps.
    fn tried(steps: String, lines: &[&str]) -> Option<Suggestion> {
        let table = format!("name = \"suggested\"\nsteps = {steps}").parse().ok()?;
        let source = Source::new(table, &Library::base()).ok()?;
        let found: Vec<_> = lines.iter().filter_map(|line| source.read(line, 0).ok()).collect();
        let timed = found.iter().filter(|found| found.time.is_some()).count();
        Some(Suggestion { steps, read: found.len(), of: lines.len(), timed })
    }

    /// A format by its name.
    fn named(format: Format, lines: &[&str]) -> Suggestion {
        let read = lines.iter().filter(|line| reads(format, line)).count();
        let clock = Clock { received: 0, zone: &Zone::UTC };
        let found = lines.iter().filter_map(|line| format.read(line, clock).1.ok());
        let timed = found.filter(|found| found.time.is_some()).count();
        Suggestion { steps: format!("[\"{}\"]", format.id()), read, of: lines.len(), timed }
    }

    fn is_enough(&self) -> bool {
        self.read * 100 >= self.of * ENOUGH
    }
}

/// Looks at lines; `None` where there are none.
pub fn suggest(lines: &[&str]) -> Option<Suggestion> {
    let lines: Vec<&str> =
        lines.iter().copied().filter(|line| !line.trim().is_empty()).take(MOST_LINES).collect();
    let (format, read) = best_format(&lines)?;
    let named = Suggestion::named(format, &lines);
    if named.is_enough() {
        return Some(named);
    }
    if let Some(own) = columns(&lines).or_else(|| object_behind(&lines)) {
        return Some(own);
    }
    if read * 2 < lines.len() {
        // What is said of whole lines says more than that they begin with a time.
        let shared = shared(&lines);
        let is_whole = |own: &Suggestion| own.is_enough() && !own.steps.contains("%{GREEDYDATA:message}");
        let plain = || Some(Suggestion::named(Format::Plain, &lines)).filter(Suggestion::is_enough);
        return shared.clone().filter(is_whole).or_else(plain).or(shared);
    }
    let rest: Vec<&str> = lines.iter().copied().filter(|line| !reads(format, line)).collect();
    if rest.len() < KIND {
        return Some(named);
    }
    let other = suggest(&rest)?;
    let steps = format!("[{{ first_of = [{}, {}] }}]", named.steps, other.steps);
    Suggestion::tried(steps, &lines).or(Some(named))
}

/// The format that reads most lines, and how many; of those that read as many the first one: the list begins with the strict
/// ones.
fn best_format(lines: &[&str]) -> Option<(Format, usize)> {
    let formats = Format::ALL
        .into_iter()
        .filter(|format| !matches!(format, Format::Auto | Format::Syslog | Format::Plain));
    let all = formats.map(|format| (format, lines.iter().filter(|line| reads(format, line)).count()));
    let best = all.reduce(|best, own| if own.1 > best.1 { own } else { best });
    best.filter(|_| !lines.is_empty())
}

/// Whether a line is of a format, and not just let through.
fn reads(format: Format, line: &str) -> bool {
    let clock = Clock { received: 0, zone: &Zone::UTC };
    let found = format.read(line, clock).1;
    let whole = |found: Found<'_>| match format {
        // Anything with a colon or an equals sign would do.
        Format::Logfmt => {
            let lifted = [
                found.message.is_some(),
                found.severity.is_some(),
                found.user.is_some(),
                found.time.is_some(),
            ];
            let n_pairs = found.fields.0.len() + lifted.into_iter().filter(|lifted| *lifted).count();
            n_pairs > 1 && Format::of(line) == format
        }
        Format::Ltsv => found.fields.0.len() > 1,
        // Any time in brackets would do.
        Format::ApacheError => Format::of(line) == format,
        Format::Access => !found.flags.contains(&"directive"),
        Format::Rfc3164 => found.fields.find("appname").is_some() || line.starts_with('<'),
        _ => true,
    };
    found.is_ok_and(whole)
}

/// The extended log format, whose columns a line of it names.
fn columns(lines: &[&str]) -> Option<Suggestion> {
    let names = lines.iter().rev().find_map(|line| line.strip_prefix("#Fields:"))?;
    let names = names.split_whitespace().collect::<Vec<_>>().join(" ");
    let steps = format!("[{{ w3c = {{ columns = {} }} }}]", toml::Value::String(names));
    Suggestion::tried(steps, lines).filter(Suggestion::is_enough)
}

/// Objects of JSON behind a beginning, as Docker's and Kubernetes' tools print them.
fn object_behind(lines: &[&str]) -> Option<Suggestion> {
    let heads = lines.iter().filter_map(|line| {
        let at = line.find('{')?;
        reads(Format::Json, &line[at..]).then(|| &line[..at])
    });
    let heads: Vec<&str> = heads.collect();
    if heads.len() * 100 < lines.len() * ENOUGH {
        return None;
    }
    let shared = Shared::of(&heads)?;
    let known = shared.is_all.then(|| shared.parts.concat());
    let tried = |head: String| {
        let expression = toml::Value::String(format!("^{head}(?<json>\\{{.*)$"));
        let steps = format!(
            "[{{ grok = {{ match = {expression} }} }}, {{ json = {{ field = \"json\", remove = true }} }}]"
        );
        Suggestion::tried(steps, lines).filter(Suggestion::is_enough)
    };
    known.and_then(tried).or_else(|| tried("%{DATA:head}".to_owned()))
}

/// The longest beginning that most lines share, and a message behind it.
fn shared(lines: &[&str]) -> Option<Suggestion> {
    let tried = |expression: String| {
        let steps = format!("[{{ grok = {{ match = {} }} }}]", toml::Value::String(expression));
        Suggestion::tried(steps, lines)
    };
    Shared::of(lines)?.expressions().filter_map(tried).find(Suggestion::is_enough)
}

#[cfg(test)]
mod tests;
