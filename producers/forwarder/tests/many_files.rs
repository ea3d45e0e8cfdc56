//! 10,000 followed files within the memory bound. Alone in its process, since it is the process that is measured.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use millrace_forwarder::{Batch, Input, Limits, Options, Outlet, OutletError, run};
use millrace_schemas::position::FilePosition;

const FILES: usize = 10_000;
/// docs/bench.md: the forwarder stays below this.
const BOUND_KIB: u64 = 50 << 10;

/// Keeps what a broker would keep; only counts the lines.
#[derive(Default)]
struct Counting {
    n_lines: usize,
    positions: HashMap<String, i64>,
}

impl Outlet for &mut Counting {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        self.n_lines += batch.records().len();
        for position in batch.positions() {
            self.positions.insert(position.file_id.clone(), position.byte);
        }
        Ok(())
    }

    fn may_write(&mut self) -> bool {
        true
    }
}

fn append(folder: &Path, round: usize) -> u64 {
    let mut n_bytes = 0;
    for i in 0..FILES {
        let mut text = String::new();
        for line in 0..3 {
            writeln!(text, "line {line} of round {round} of file {i:05}, long enough to be like a real one")
                .unwrap();
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(folder.join(format!("{i:05}.log"))).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        n_bytes += text.len() as u64;
    }
    n_bytes
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn ten_thousand_files_are_followed_within_the_memory_bound() {
    let folder = tempfile::tempdir().unwrap();
    let mut n_bytes = append(folder.path(), 1);
    let input = Input::new("default", "many", vec![folder.path().join("*.log").display().to_string()]);
    let options = Options {
        host: "host".to_owned(),
        forwarder_id: "many".to_owned(),
        schema_id: 1,
        inputs: vec![input],
        scratch: folder.path().to_owned(),
        limits: Limits::USUAL,
        once: false,
    };
    let mut counting = Counting::default();
    // Three rounds of growth while they are all followed.
    let (mut round, over) = (1, std::cell::Cell::new(false));
    let grow = |progress: &millrace_forwarder::Progress| {
        if progress.bytes == n_bytes && round < 3 {
            round += 1;
            n_bytes += append(folder.path(), round);
        } else if progress.bytes == n_bytes {
            over.set(true);
        }
    };
    let progress = run(options, &mut counting, || over.get(), grow).unwrap();
    assert_eq!((progress.files, progress.bytes, progress.lines), (FILES, n_bytes, FILES as u64 * 9));
    assert!(progress.open_files <= Limits::USUAL.max_open_files);
    assert_eq!(counting.n_lines, FILES * 9);
    assert_eq!(counting.positions.values().sum::<i64>() as u64, n_bytes);
    let peak = peak_kib();
    assert!(peak < BOUND_KIB, "{peak} KiB");
    println!("{peak} KiB");
}
