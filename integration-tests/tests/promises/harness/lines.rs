//! Lines that look real, each with a word of its own, and a writer that appends them to a file at a rate.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};

/// Every so many lines one that no parser can read.
const DEAD_EVERY: u64 = 97;

/// Numbered lines of one kind of file; `name` makes their words differ from those of other files.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    name: String,
}

impl Lines {
    /// `name` is letters and digits.
    pub(crate) fn new(name: &str) -> Lines {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        Lines { name: name.to_owned() }
    }

    /// The word that only line `number` has.
    pub(crate) fn word(&self, number: u64) -> String {
        format!("{}n{number:07}", self.name)
    }

    /// Appends line `number` with its newline.
    pub(crate) fn push(&self, number: u64, out: &mut Vec<u8>) {
        let word = self.word(number);
        let now = Utc::now();
        let iso = now.to_rfc3339_opts(SecondsFormat::Micros, true);
        let client = format!("10.{}.{}.{}", number % 200, number / 200 % 200, number % 7);
        let status = [200, 200, 200, 304, 404, 500][(number % 6) as usize];
        let line = match number % 5 {
            _ if number % DEAD_EVERY == 13 => format!("?? no format of ours {word} at {iso} ??"),
            0 | 1 => format!(
                "{client} - - [{}] \"GET /cart/{word}?id={number} HTTP/1.1\" {status} {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
                now.format("%d/%b/%Y:%H:%M:%S +0000"),
                number % 9_000
            ),
            2 | 3 => format!(
                "{{\"time\":\"{iso}\",\"level\":\"info\",\"message\":\"request {word} served\",\"status\":{status},\"took\":0.{}}}",
                number % 1_000
            ),
            _ => format!("<134>1 {iso} web1 shop {} ID47 - order {word} placed by {client}", number % 30_000),
        };
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }

    /// Lines `range` as one text.
    pub(crate) fn text(&self, range: std::ops::Range<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        range.for_each(|number| self.push(number, &mut out));
        out
    }
}

/// A thread that appends lines to a file.
#[derive(Debug)]
pub(crate) struct Writer {
    thread: Option<JoinHandle<()>>,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    pub(crate) path: PathBuf,
    pub(crate) lines: Lines,
}

impl Writer {
    /// Writes `n_lines` at `per_second`, in small writes that do not end at line ends.
    pub(crate) fn start(path: &Path, lines: Lines, n_lines: u64, per_second: u64) -> Writer {
        let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        let (own, counter, stopped) = (lines.clone(), written.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let (mut done, mut text) = (0, Vec::new());
            while done < n_lines && !stopped.load(Ordering::SeqCst) {
                let due = ((start.elapsed().as_secs_f64() * per_second as f64) as u64 + 1).min(n_lines);
                while done < due {
                    own.push(done, &mut text);
                    done += 1;
                }
                // The last line is torn now and then: the rest follows with the next write.
                let keep = if done < n_lines && done % 3 == 0 { 20.min(text.len()) } else { 0 };
                file.write_all(&text[..text.len() - keep]).unwrap();
                text.drain(..text.len() - keep);
                counter.store(done, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
            file.write_all(&text).unwrap();
        });
        Writer { thread: Some(thread), written, stop, path: path.to_owned(), lines }
    }

    /// Lines written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Whether all is written.
    pub(crate) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end; gives the number of lines.
    pub(crate) fn join(&mut self) -> u64 {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.written()
    }

    /// Ends early, at a line end; gives the number of lines.
    pub(crate) fn finish(&mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.join()
    }
}
