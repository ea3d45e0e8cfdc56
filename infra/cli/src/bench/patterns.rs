//! What reading by sources costs, core only: expressions, grok, many patterns, objects. One core, one line at a time, from
//! text to typed fields.

use std::time::Instant;

use millrace_jobs::parse::Source;
use millrace_loadgen::{Kind, Lines, Options};

use super::{Measured, Target, median};

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

fn apache_lines() -> Vec<String> {
    let mut lines = Lines::new(Options::one(Kind::Apache, 3, RECEIVED));
    let line = |_| {
        let mut text = Vec::new();
        lines.next_into(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    (0..LINES).map(line).collect()
}

/// Bytes a second over `lines`, the median of three. Every line must be read.
fn rate(lines: &[String], mut read: impl FnMut(&str) -> bool) -> anyhow::Result<f64> {
    let bytes: usize = lines.iter().map(String::len).sum();
    let (rate, ()) = median(|| {
        let start = Instant::now();
        for line in lines {
            anyhow::ensure!(read(line), "not read: {line}");
        }
        Ok((bytes as f64 / start.elapsed().as_secs_f64(), ()))
    })?;
    Ok(rate)
}

fn source_rate(lines: &[String], steps: &str) -> anyhow::Result<f64> {
    let source = source(steps)?;
    rate(lines, |line| source.read(line, RECEIVED).is_ok_and(|found| found.fields.0.len() > 3))
}

/// An expression, grok, and the bare engine that both are held against, over the same lines.
pub(super) fn expressions() -> anyhow::Result<Vec<Measured>> {
    let lines = apache_lines();
    let regex = source_rate(&lines, &regex_step())?;
    let grok = source_rate(&lines, GROK)?;
    let engine = regex::Regex::new(COMBINED)?;
    let mut groups = engine.capture_locations();
    let bare = rate(&lines, |line| engine.captures_read(&mut groups, line).is_some())?;
    let mib = |rate: f64| rate / f64::from(1 << 20);
    let note = format!(
        "{:.0} MiB/s to typed fields; bare captures of the regex crate, without fields: {:.0} MiB/s",
        mib(grok),
        mib(bare)
    );
    Ok(vec![
        Measured::new("parse_regex", mib(regex), "MiB/s", Some(Target::AtLeast(20.0))),
        Measured::new("parse_grok_vs_regex", grok / regex, "×", Some(Target::AtLeast(0.5)))
            .against("parse_regex")
            .note(note),
    ])
}

/// The line is read by the last of fifty; alone, by that one.
pub(super) fn first_of() -> anyhow::Result<Vec<Measured>> {
    let lines = apache_lines();
    let other = |number: usize| {
        format!(
            "[{{ grok = {{ match = '^%{{SYSLOGTIMESTAMP:time}} service{number}\\[%{{INT:pid:int}}\\]: task {number} of %{{IP:client}} took %{{INT:took:int}} ms$' }} }}]"
        )
    };
    let mut lists: Vec<String> = (1..50).map(other).collect();
    lists.push(format!("[{GROK}]"));
    let many = source_rate(&lines, &format!("{{ first_of = [{}] }}", lists.join(", ")))?;
    let one = source_rate(&lines, GROK)?;
    let note = format!("{:.0} k lines/s, the last of fifty fits", LINES as f64 * many / total(&lines) / 1e3);
    let measured = Measured::new("parse_first_of_50", one / many, "×", Some(Target::Below(3.0)));
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
    let rate = source_rate(&lines, "\"json\"")? / 1e6;
    let note = format!("flat objects of {:.0} bytes, 9 members", total(&lines) / LINES as f64);
    Ok(vec![Measured::new("parse_json", rate, "MB/s", Some(Target::AtLeast(100.0))).note(note)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_measurements_is_read() {
        let lines = apache_lines();
        for steps in [regex_step(), GROK.to_owned()] {
            assert!(source_rate(&lines[..50], &steps).unwrap() > 0.0);
        }
        let fields = |steps: &str| source(steps).unwrap().read(&lines[0], RECEIVED).unwrap().fields.0.len();
        assert!(fields(&regex_step()) >= 9 && fields(GROK) >= 9);
    }
}
