//! The equality that every promise ends with: what was written is what the topics, the archive and the index hold, each
//! line once, in order, and the ledger balances.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::log::Line;
use super::{Lines, World, http, until};

/// A file that is written no more.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) host: String,
    pub(crate) path: PathBuf,
    pub(crate) n_lines: u64,
    pub(crate) lines: Lines,
}

impl Source {
    pub(crate) fn new(host: &str, path: &Path, n_lines: u64, lines: Lines) -> Source {
        Source { host: host.to_owned(), path: path.to_owned(), n_lines, lines }
    }
}

/// How long the pipeline may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(180);
/// Lines that are looked up one by one.
const SAMPLE: u64 = 200;
/// Lines whose words are asked for at once: those that differ in their last three digits.
const PAGE: u64 = 1_000;

impl World {
    /// Waits until all of `sources` is through, then proves the equality.
    pub(crate) fn assert_whole(&mut self, sources: &[Source], rng: &mut StdRng) {
        let n_lines = sources.iter().map(|source| source.n_lines).sum();
        self.wait_through(n_lines);
        self.assert_balanced();
        let lines = self.assert_topics(n_lines);
        for source in sources {
            self.assert_source(source, &lines);
        }
        self.assert_found(sources, n_lines, rng);
    }

    /// Waits until the topics hold `n_lines` lines.
    pub(crate) fn wait_through(&mut self, n_lines: u64) {
        let start = Instant::now();
        let log = self.log();
        until(&format!("{n_lines} lines are parsed or dead"), CATCH_UP, || {
            self.check();
            // Records and transaction markers: enough to know when counting is worth while.
            let ends: i64 = ["logs.parsed", "logs.dead"].iter().map(|topic| log.ends(topic).0).sum();
            if (ends as u64) < n_lines {
                return Err(format!("at most {ends} after {:?}", start.elapsed()));
            }
            let n_found = (log.count("logs.parsed") + log.count("logs.dead")) as u64;
            if n_found >= n_lines { Ok(()) } else { Err(format!("{n_found} after {:?}", start.elapsed())) }
        });
    }

    /// `millrace ledger --wait` says that it balances.
    pub(crate) fn assert_balanced(&mut self) {
        self.check();
        let output = self.cli(&["ledger", "--wait", "90s"]);
        self.check();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "the ledger ended with {}:\n{out}\n{err}", output.status);
    }

    /// Every line of `logs.raw` is once in `logs.parsed` or `logs.dead`, in per-key order.
    pub(crate) fn assert_topics(&self, n_lines: u64) -> Vec<Line> {
        let log = self.log();
        let raw: BTreeSet<(i32, i64)> = log.raw().iter().map(|line| line.origin).collect();
        let mut lines = log.parsed();
        lines.extend(log.dead());
        let mut origins = BTreeSet::new();
        let mut last: BTreeMap<(&str, i32, &[u8]), i64> = BTreeMap::new();
        for line in &lines {
            assert!(
                origins.insert(line.origin),
                "raw {:?} is there twice, the second time at {}/{}/{}: {:?}",
                line.origin,
                line.topic,
                line.partition,
                line.offset,
                String::from_utf8_lossy(&line.body)
            );
            assert_eq!(line.origin.0, line.partition, "a line left its partition");
            let before = last.insert((line.topic, line.partition, &line.key), line.origin.1);
            assert!(before.is_none_or(|before| before < line.origin.1), "order of a key is lost at {line:?}");
        }
        let lost: Vec<_> = raw.difference(&origins).take(5).collect();
        assert!(lost.is_empty(), "raw records neither parsed nor dead: {lost:?} …");
        let made_up: Vec<_> = origins.difference(&raw).take(5).collect();
        assert!(
            made_up.is_empty() || !self.raw_is_kept,
            "lines of raw records that were never committed: {made_up:?} …"
        );
        assert_eq!(lines.len() as u64, n_lines, "number of lines");
        lines
    }

    /// The topics and the archive rebuild a file byte for byte.
    fn assert_source(&self, source: &Source, lines: &[Line]) {
        let path = source.path.display().to_string();
        let truth = std::fs::read(&source.path).unwrap();
        let own: Vec<&Line> =
            lines.iter().filter(|line| line.host == source.host && line.file == path).collect();
        assert_eq!(own.len() as u64, source.n_lines, "lines of {path}");
        assert_same(&rebuild(&own), &truth, &format!("{path} from the topics"));
        assert_same(&self.cat(&source.host, &path, &[]), &truth, &format!("{path} from the archive"));
    }

    /// `millrace cat`.
    pub(crate) fn cat(&self, host: &str, file: &str, more: &[&str]) -> Vec<u8> {
        let mut args = vec!["cat", "--host", host, "--file", file];
        args.extend(more);
        self.cli_ok(&args)
    }

    /// Search finds each line once: the total, every word by pages of a thousand, and a sample one by one.
    fn assert_found(&mut self, sources: &[Source], n_lines: u64, rng: &mut StdRng) {
        self.wait_found("", n_lines);
        for source in sources.iter().filter(|source| source.n_lines > 0) {
            self.assert_every_word(source);
            for _ in 0..(SAMPLE * source.n_lines / n_lines).max(5) {
                let number = rng.random_range(0..source.n_lines);
                let word = source.lines.word(number);
                assert_eq!(
                    self.n_found(&word),
                    Ok(1),
                    "hits of {word}, line {number} of {}",
                    source.path.display()
                );
            }
        }
    }

    /// Asks for all words that begin alike, and compares with those that were written.
    fn assert_every_word(&self, source: &Source) {
        for page in 0..source.n_lines.div_ceil(PAGE) {
            let wanted: BTreeSet<String> = (page * PAGE..source.n_lines.min((page + 1) * PAGE))
                .map(|number| source.lines.word(number))
                .collect();
            let first = source.lines.word(page * PAGE);
            let answer = self.search(&format!("{}*", &first[..first.len() - 3]), 10 * PAGE).unwrap();
            let hits = answer["hits"].as_array().unwrap();
            let word_of = |hit: &serde_json::Value| {
                let body = hit["body"].as_str().unwrap_or_else(|| panic!("no body in {hit}")).to_owned();
                let word = body
                    .split(|char: char| !char.is_ascii_alphanumeric())
                    .find(|word| wanted.contains(*word));
                word.unwrap_or_else(|| panic!("{body} is none of the lines of page {page}")).to_owned()
            };
            let mut found = BTreeSet::new();
            for hit in hits {
                let word = word_of(hit);
                assert!(found.insert(word.clone()), "{word} is found twice");
            }
            assert_eq!(found.len(), wanted.len(), "lines of page {page} that search finds");
        }
    }

    /// Waits until a query has exactly `wanted` hits; one too many fails at once.
    pub(crate) fn wait_found(&mut self, query: &str, wanted: u64) {
        until(&format!("{query} has {wanted} hits"), Duration::from_secs(60), || {
            self.check();
            let found = self.n_found(query)?;
            assert!(found <= wanted, "{query} has {found} hits, {wanted} lines were written");
            if found == wanted { Ok(()) } else { Err(format!("{found} hits")) }
        });
    }

    /// Total hits of a query.
    pub(crate) fn n_found(&self, query: &str) -> Result<u64, String> {
        self.search(query, 1).map(|answer| answer["total"].as_u64().unwrap_or_default())
    }

    /// What the query service answers.
    fn search(&self, query: &str, limit: u64) -> Result<serde_json::Value, String> {
        let target = format!("/api/v1/search?q={}&limit={limit}", http::escape(query));
        let (status, body) = http::get(self.query_port, &target).map_err(|error| error.to_string())?;
        let answer: serde_json::Value =
            serde_json::from_str(&body).map_err(|error| format!("{error} in {body}"))?;
        if status == 200 && answer["total"].is_u64() {
            Ok(answer)
        } else {
            Err(format!("status {status}: {body}"))
        }
    }
}

/// Bytes of a file, from its lines in any order.
pub(crate) fn rebuild(lines: &[&Line]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| line.place);
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(&line.body);
        bytes.extend_from_slice(line.line_end.bytes());
    }
    bytes
}

/// Compares bytes; says where they part instead of printing megabytes.
pub(crate) fn assert_same(found: &[u8], truth: &[u8], what: &str) {
    if found == truth {
        return;
    }
    let at = found.iter().zip(truth).take_while(|(a, b)| a == b).count();
    let show = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.min(bytes.len())..(at + 160).min(bytes.len())]).into_owned()
    };
    panic!(
        "{what} differs at byte {at} (of {} found, {} written)\n found: {:?}\n wrote: {:?}",
        found.len(),
        truth.len(),
        show(found),
        show(truth)
    );
}
