//! Rotation during kills: rename, copytruncate and truncate while the forwarder dies again and again. Every incarnation is
//! rebuilt byte for byte, and bytes that a truncation destroyed before anyone could read them are counted and named.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_schemas::position::FilePosition;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::harness::equality::assert_same;
use crate::harness::log::Log;
use crate::harness::seed::rounds;
use crate::harness::{Lines, Seed, World, until};

const ROUNDS: usize = 12;
/// Every incarnation begins with these bytes: a beginning alone does not tell them apart.
const PREAMBLE: &str =
    "# one of many files that begin with the very same lines, as those of a restarted program do\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    /// The file gets another name, a new one its own.
    Rename,
    /// A copy is made, then the file is emptied: the inode stays.
    CopyTruncate,
    /// The file is emptied.
    Truncate,
}

/// A log file that is written and rotated, and what each of its incarnations held.
struct Rotated {
    path: PathBuf,
    lines: Lines,
    n_lines: u64,
    incarnations: Vec<Vec<u8>>,
    n_rotated: usize,
}

impl Rotated {
    fn create(path: &Path) -> Rotated {
        let mut own = Rotated {
            path: path.to_owned(),
            lines: Lines::new("r"),
            n_lines: 0,
            incarnations: Vec::new(),
            n_rotated: 0,
        };
        own.begin();
        own
    }

    fn begin(&mut self) {
        self.incarnations.push(Vec::new());
        self.append_bytes(PREAMBLE.repeat(4).as_bytes());
    }

    fn append_bytes(&mut self, bytes: &[u8]) {
        let mut file = File::options().create(true).append(true).open(&self.path).unwrap();
        file.write_all(bytes).unwrap();
        self.incarnations.last_mut().unwrap().extend_from_slice(bytes);
    }

    fn append(&mut self, n_lines: u64) {
        let text = self.lines.text(self.n_lines..self.n_lines + n_lines);
        self.n_lines += n_lines;
        self.append_bytes(&text);
    }

    fn rotate(&mut self, how: Rotation) {
        self.n_rotated += 1;
        let rotated = self.path.with_extension(format!("log.{}", self.n_rotated));
        match how {
            Rotation::Rename => fs::rename(&self.path, rotated).unwrap(),
            Rotation::CopyTruncate => drop(fs::copy(&self.path, rotated).unwrap()),
            Rotation::Truncate => {}
        }
        if how != Rotation::Rename {
            File::options().write(true).open(&self.path).unwrap().set_len(0).unwrap();
        }
        self.begin();
    }

    fn size(&self) -> i64 {
        self.incarnations.last().unwrap().len() as i64
    }
}

#[test]
fn every_incarnation_is_rebuilt_byte_for_byte() {
    let mut rng = Seed::take("rotation").rng(1);
    let mut world = World::new("rotation");
    world.apply_topics();
    let path = world.forward("web1").join("access.log");
    world.start_all();
    let log = world.log();
    let mut file = Rotated::create(&path);
    for round in 0..rounds(ROUNDS) {
        let how = *[Rotation::Rename, Rotation::CopyTruncate, Rotation::Truncate].choose(&mut rng).unwrap();
        println!("round {round}: {how:?}");
        round_of(&mut world, &log, &mut file, how, &mut rng);
    }
    file.append(rng.random_range(1..500));
    wait_read(&mut world, &log, &file, file.incarnations.len());
    // The preamble is no format of ours: it goes to the dead letters, and is rebuilt all the same.
    let n_preambles = (file.incarnations.len() * 4) as u64;
    world.wait_through(file.n_lines + n_preambles);
    world.assert_balanced();
    world.assert_topics(file.n_lines + n_preambles);

    let name = path.display().to_string();
    let all = file.incarnations.concat();
    assert_same(&world.cat("web1", &name, &["--all"]), &all, "all incarnations, in order of first sight");
    assert_same(&world.cat("web1", &name, &[]), file.incarnations.last().unwrap(), "the newest incarnation");
    let mut positions = positions(&log);
    positions.sort_by_key(|position| position.first_seen);
    assert_eq!(positions.len(), file.incarnations.len(), "incarnations seen");
    for (position, truth) in positions.iter().zip(&file.incarnations) {
        let id = position.file_id.as_str();
        assert_same(&world.cat("web1", &name, &["--id", id]), truth, &format!("incarnation {id}"));
        assert_eq!(position.lost, 0, "incarnation {id} was read to its end before each rotation");
    }
    world.wait_found("", file.n_lines + n_preambles);
    for _ in 0..50 {
        let word = file.lines.word(rng.random_range(0..file.n_lines));
        assert_eq!(world.n_found(&word), Ok(1), "hits of {word}");
    }
    world.stop();
}

/// Writes, rotates once, and kills the forwarder somewhere in between.
fn round_of(world: &mut World, log: &Log, file: &mut Rotated, how: Rotation, rng: &mut StdRng) {
    let n_seen = file.incarnations.len();
    file.append(rng.random_range(1..800));
    let dies = rng.random_range(0..3);
    if dies == 0 {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..300)));
        world.service("forward-web1").kill();
        world.service("forward-web1").start();
    }
    // What is destroyed must have been read before. A file that is renamed may be read later, once it was seen, and so may
    // the end of one that is copied.
    if how == Rotation::Rename && rng.random() {
        wait_seen(world, log, n_seen);
    } else {
        wait_read(world, log, file, n_seen);
    }
    if dies == 1 {
        world.service("forward-web1").kill();
    }
    if how == Rotation::CopyTruncate {
        file.append(rng.random_range(0..400));
    }
    file.rotate(how);
    // Shorter than before, or longer: a size alone does not tell either.
    file.append(rng.random_range(0..1_600));
    if dies == 2 {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..1_500)));
        world.service("forward-web1").kill();
    }
    world.service("forward-web1").start();
    wait_seen(world, log, n_seen + 1);
}

fn positions(log: &Log) -> Vec<FilePosition> {
    let values = log.compacted("millrace.positions").into_values().flatten();
    values.map(|value| log.codecs().position().decode::<FilePosition>(&value).unwrap()).collect()
}

fn wait_seen(world: &mut World, log: &Log, n_incarnations: usize) {
    until(&format!("{n_incarnations} incarnations are seen"), Duration::from_secs(60), || {
        world.check();
        let n_seen = positions(log).len();
        assert!(n_seen <= n_incarnations, "{n_seen} incarnations seen, {n_incarnations} were there");
        if n_seen == n_incarnations { Ok(()) } else { Err(n_seen.to_string()) }
    });
}

fn wait_read(world: &mut World, log: &Log, file: &Rotated, n_incarnations: usize) {
    wait_seen(world, log, n_incarnations);
    until("the newest incarnation is read", Duration::from_secs(60), || {
        world.check();
        let newest = positions(log).into_iter().max_by_key(|position| position.first_seen).unwrap();
        if newest.byte == file.size() { Ok(()) } else { Err(format!("{} of {}", newest.byte, file.size())) }
    });
}

#[test]
fn bytes_destroyed_before_they_could_be_read_are_counted_and_named() {
    let mut world = World::new("lost-bytes");
    world.apply_topics();
    // Without its end a line is held back: bytes that the forwarder knows of and has not sent.
    let logs = world.forward_with("web1", |section| {
        section.insert("partial_line_timeout_ms".to_owned(), 120_000.into());
    });
    world.start_all();
    let log = world.log();
    let mut file = Rotated::create(&logs.join("access.log"));
    file.append(100);
    wait_read(&mut world, &log, &file, 1);
    let half = b"the beginning of a line that never gets its end";
    let whole = file.incarnations[0].clone();
    file.append_bytes(half);
    // Once a second line elsewhere is through, a look at all files that began after the half line was written is over.
    for number in 1..=2u64 {
        fs::write(logs.join(format!("marker{number}.log")), b"marker\n").unwrap();
        until("the half line is seen", Duration::from_secs(30), || {
            world.check();
            let n = log.count("logs.raw") as u64;
            if n == 104 + number { Ok(()) } else { Err(n.to_string()) }
        });
    }
    file.rotate(Rotation::Truncate);
    file.append(10);
    wait_read(&mut world, &log, &file, 4);
    let lost = positions(&log)
        .into_iter()
        .filter(|position| position.path.ends_with("access.log"))
        .map(|position| position.lost)
        .sum::<i64>();
    assert_eq!(lost, half.len() as i64, "bytes counted as lost in millrace.positions");
    let service = world.service("forward-web1");
    assert_eq!(service.metric("millrace_forwarder_lost_bytes_total", ""), half.len() as f64);
    let text = service.log();
    let (from, to) = (whole.len(), whole.len() + half.len());
    let named = |line: &&str| {
        ["access.log".to_owned(), format!("from={from}"), format!("to={to}")]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(text.lines().any(|line| named(&line)), "no line of the log names bytes {from}..{to}:\n{text}");

    world.wait_through(110 + 8 + 2);
    world.assert_balanced();
    let name = file.path.display().to_string();
    let all = [whole, file.incarnations[1].clone()].concat();
    assert_same(&world.cat("web1", &name, &["--all"]), &all, "what was read of all incarnations");
    world.stop();
}
