//! What reading by sources costs, core only: expressions, grok, many patterns, objects. One core, one line at a time, from
//! text to typed fields.

use std::time::Instant;

use millrace_jobs::parse::Source;
use millrace_loadgen::{Kind, Lines, Options};

use super::{Measured, Target, median, middle};

/// When the lines were received, µs.
const RECEIVED: i64 = 1_767_225_600_000_000;
const LINES: usize = 20_000;

const COMBINED: &str = r#"^(?P<client>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<verb>\S+) (?P<path>\S+) HTTP/(?P<version>[0-9.]+)" (?P<status>[0-9]{3}) (?P<bytes>[0-9]+|-) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)""#;
const GROK: &str = "{ grok = { match = '^%{COMBINEDAPACHELOG}' } }";

fn source(steps: &str) -> anyhow::Result<Source> {
    let file = format!(
        "[[source]]\nname = \"bench\"\ntypes = {{ status = \"long\", bytes = \"long\" }}\nsteps = [{steps}]\n"
    );
    Ok(Source::list(&file, |_| Ok(Vec::new()))?.remove(0))
}

fn regex_step() -> String {
    format!("{{ regex = {{ pattern = '''{COMBINED}''' }} }}")
}

fn lines(kind: Kind) -> Vec<String> {
    let mut lines = Lines::new(Options::one(kind, 3, RECEIVED));
    let line = |_| {
        let mut text = Vec::new();
        lines.next_into(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    (0..LINES).map(line).collect()
}

/// Bytes a second over `lines`. Every line must be read as `read` expects.
fn once(lines: &[String], mut read: impl FnMut(&str) -> bool) -> anyhow::Result<f64> {
    let start = Instant::now();
    for line in lines {
        anyhow::ensure!(read(line), "not read as expected: {line}");
    }
    Ok(total(lines) / start.elapsed().as_secs_f64())
}

/// The median rate of each of two, in pairs of runs one after the other, and the median of their ratios.
fn pairs(
    mut one: impl FnMut() -> anyhow::Result<f64>,
    mut other: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<(f64, f64, f64)> {
    let pairs = (0..9).map(|_| Ok((one()?, other()?))).collect::<anyhow::Result<Vec<_>>>()?;
    let (ones, others) = pairs.iter().copied().unzip();
    let ratios = pairs.iter().map(|(one, other)| one / other).collect();
    Ok((middle(ones), middle(others), middle(ratios)))
}

fn is_read(source: &Source, line: &str) -> bool {
    source.read(line, RECEIVED).is_ok_and(|found| found.fields.0.len() > 3)
}

fn mib(rate: f64) -> f64 {
    rate / f64::from(1 << 20)
}

/// An expression and grok over the same lines.
pub(super) fn expressions() -> anyhow::Result<Vec<Measured>> {
    let lines = lines(Kind::Apache);
    let (regex, grok) = (source(&regex_step())?, source(GROK)?);
    let engine = regex::Regex::new(COMBINED)?;
    let mut groups = engine.capture_locations();
    let bare = once(&lines, |line| engine.captures_read(&mut groups, line).is_some())?;
    let (grok, regex, ratio) =
        pairs(|| once(&lines, |line| is_read(&grok, line)), || once(&lines, |line| is_read(&regex, line)))?;
    let note = format!("bare captures of the regex crate, without fields: {:.0} MiB/s", mib(bare));
    Ok(vec![
        Measured::new("parse_regex", mib(regex), "MiB/s", Some(Target::AtLeast(20.0))).note(note),
        Measured::new("parse_grok_vs_regex", ratio, "×", Some(Target::AtLeast(0.5)))
            .against("parse_regex")
            .note(format!("{:.0} MiB/s to typed fields", mib(grok))),
    ])
}

/// The same expression by Oniguruma, which Logstash has: unanchored, on lines that fit, and on a stream in which every second
/// line is of another program.
#[cfg(feature = "onig")]
pub(super) fn onig() -> anyhow::Result<Vec<Measured>> {
    const WHOLE: &str = "%{COMBINEDAPACHELOG}";
    let fitting = lines(Kind::Apache);
    let mixed: Vec<String> = fitting
        .iter()
        .zip(lines(Kind::Rfc3164))
        .take(LINES / 10)
        .flat_map(|(own, other)| [own.clone(), other])
        .collect();
    let own = source(&format!("{{ grok = {{ match = '{WHOLE}' }} }}"))?;
    let other = grok::Grok::with_default_patterns().compile(WHOLE, true)?;
    let captured = |line: &str| other.match_against(line).is_some_and(|found| found.iter().count() > 3);
    let measure = |name: &'static str, what: &str, lines: &[String]| {
        // Which lines fit is the same to both.
        let fits: Vec<bool> = lines.iter().map(|line| captured(line)).collect();
        let each = |read: &dyn Fn(&str) -> bool| {
            let mut fits = fits.iter();
            once(lines, |line| fits.next() == Some(&read(line)))
        };
        let (own, other, ratio) = pairs(|| each(&|line| is_read(&own, line)), || each(&captured))?;
        let note = format!(
            "{what}: {:.0} MiB/s to typed fields, Oniguruma's captures {:.0} MiB/s",
            mib(own),
            mib(other)
        );
        let measured = Measured::new(name, ratio, "×", Some(Target::AtLeast(5.0)));
        anyhow::Ok(measured.against("the grok crate with Oniguruma").note(note))
    };
    Ok(vec![
        measure("parse_grok_vs_onig", "all lines fit", &fitting)?,
        measure("parse_grok_vs_onig_mixed", "every second line is syslog", &mixed)?,
    ])
}

#[cfg(not(feature = "onig"))]
pub(super) fn onig() -> anyhow::Result<Vec<Measured>> {
    eprintln!("not measured: this program is built without Oniguruma; that of `make bench` has it");
    Ok(Vec::new())
}

/// The line is read by the last of fifty; alone, by that one.
pub(super) fn first_of() -> anyhow::Result<Vec<Measured>> {
    let lines = lines(Kind::Apache);
    let other = |number: usize| {
        format!(
            "[{{ grok = {{ match = '^%{{SYSLOGTIMESTAMP:time}} service{number}\\[%{{INT:pid:int}}\\]: task {number} of %{{IP:client}} took %{{INT:took:int}} ms$' }} }}]"
        )
    };
    let mut lists: Vec<String> = (1..50).map(other).collect();
    lists.push(format!("[{GROK}]"));
    let (many, one) = (source(&format!("{{ first_of = [{}] }}", lists.join(", ")))?, source(GROK)?);
    let (_, many, ratio) =
        pairs(|| once(&lines, |line| is_read(&one, line)), || once(&lines, |line| is_read(&many, line)))?;
    let note = format!("{:.0} k lines/s, the last of fifty fits", LINES as f64 * many / total(&lines) / 1e3);
    let measured = Measured::new("parse_first_of_50", ratio, "×", Some(Target::Below(3.0)));
    Ok(vec![measured.against("the one that fits, alone").note(note)])
}

fn total(lines: &[String]) -> f64 {
    lines.iter().map(String::len).sum::<usize>() as f64
}

pub(super) fn json() -> anyhow::Result<Vec<Measured>> {
    let line = |number: usize| {
        format!(
            r#"{{"time":"2026-01-02T03:04:{:02}.{:06}Z","level":"info","message":"request served to the customer","status":{},"took":0.{:03},"host":"web-{:02}","path":"/cart/items/{:05}","client":"10.0.{}.{}","ok":true}}"#,
            number % 60,
            number * 37 % 1_000_000,
            [200, 304, 404][number % 3],
            number % 1_000,
            number % 40,
            number % 99_991,
            number % 200,
            number % 250
        )
    };
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let source = source("\"json\"")?;
    let (rate, ()) = median(|| Ok((once(&lines, |line| is_read(&source, line))? / 1e6, ())))?;
    let note = format!("flat objects of {:.0} bytes, 9 members", total(&lines) / LINES as f64);
    Ok(vec![Measured::new("parse_json", rate, "MB/s", Some(Target::AtLeast(100.0))).note(note)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_measurements_is_read() {
        let lines = lines(Kind::Apache);
        for steps in [regex_step(), GROK.to_owned()] {
            let source = source(&steps).unwrap();
            assert!(lines.iter().all(|line| is_read(&source, line)));
            assert!(source.read(&lines[0], RECEIVED).unwrap().fields.0.len() >= 9);
        }
    }

    #[cfg(feature = "onig")]
    #[test]
    fn oniguruma_finds_what_we_find() {
        let lines = lines(Kind::Apache);
        let own = source("{ grok = { match = '%{COMBINEDAPACHELOG}' } }").unwrap();
        let other = grok::Grok::with_default_patterns().compile("%{COMBINEDAPACHELOG}", true).unwrap();
        for line in &lines[..500] {
            let found = own.read(line, RECEIVED).unwrap();
            let theirs = other.match_against(line).unwrap();
            for (name, text) in theirs.iter().filter(|(name, _)| *name != "timestamp" && *name != "bytes") {
                assert_eq!(
                    found.fields.find(name),
                    Some(&millrace_schemas::Value::String(text.into())),
                    "{name}: {line}"
                );
            }
        }
    }
}
