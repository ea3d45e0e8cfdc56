//! Random writing, rotating, truncating, deleting, restarting and failing: every incarnation is rebuilt byte for byte.

use std::os::unix::fs::MetadataExt;

use super::rig::{Fault, HOUR, Rig};
use crate::{Encoding, Join};

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What every incarnation should hold: the living file at each name, and those that were truncated or deleted.
struct Model {
    living: Vec<(String, Vec<u8>)>,
    over: Vec<Vec<u8>>,
}

impl Model {
    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        if let Some(at) = self.living.iter().position(|(other, _)| other == name) {
            return &mut self.living[at].1;
        }
        self.living.push((name.to_owned(), Vec::new()));
        &mut self.living.last_mut().unwrap().1
    }

    fn end(&mut self, name: &str) -> bool {
        let Some(at) = self.living.iter().position(|(other, _)| other == name) else {
            return false;
        };
        let (_, bytes) = self.living.remove(at);
        self.over.push(bytes);
        true
    }
}

fn text(rng: &mut Rng, n: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=rng.below(6) {
        *n += 1;
        let fill = if rng.below(8) == 0 { rng.below(300) as usize } else { rng.below(20) as usize };
        bytes.extend_from_slice(format!("{n:08} ").as_bytes());
        bytes.extend(std::iter::repeat_n(b'x', fill));
        bytes.extend_from_slice([&b"\n"[..], b"\r\n", b"", b"\0\n", b"\xff\n"][rng.below(5) as usize]);
    }
    bytes
}

const ENCODINGS: [Encoding; 6] =
    [Encoding::Utf8, Encoding::Utf8, Encoding::Utf8, Encoding::Latin1, Encoding::Utf16, Encoding::Utf16Be];

/// What a program that writes in `encoding` writes; at the beginning of a file with the mark.
fn encoded(encoding: Encoding, new: bool, bytes: Vec<u8>) -> Vec<u8> {
    let order = match encoding {
        Encoding::Utf8 | Encoding::Latin1 => return bytes,
        Encoding::Utf16 | Encoding::Utf16Le => u16::to_le_bytes,
        Encoding::Utf16Be => u16::to_be_bytes,
    };
    let mark = if new { "\u{feff}" } else { "" };
    let text = format!("{mark}{}😀", String::from_utf8_lossy(&bytes));
    text.encode_utf16().flat_map(order).collect()
}

fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let order = encoding.resolve(bytes);
    order.decode(&bytes[order.mark(bytes)..], true, &mut text);
    text
}

#[track_caller]
fn check(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng(seed);
    let wide = rng.below(2) == 0;
    let few = if rng.below(2) == 0 { 2 } else { 100 };
    let rig = Rig::with(|options| {
        options.limits.max_line_bytes = 64;
        options.limits.batch_max_lines = 7;
        options.limits.max_open_files = few;
        options.limits.quantum_bytes = 200;
    });
    let mut rig = if wide { rig.widen() } else { rig };
    let encoding = ENCODINGS[rng.below(6) as usize];
    rig.options.inputs[0].encoding = encoding;
    // Lines whose number ends with 5 begin an entry of several lines.
    rig.options.inputs[0].join = (rng.below(3) == 0).then(|| Join::start("^[0-9]{7}5 "));
    rig.options.inputs[0].entry_timeout = HOUR / 2;
    rig.restart();
    let mut model = Model { living: Vec::new(), over: Vec::new() };
    let mut n = 0;
    for _ in 0..120 {
        let name = ["a.log", "b.log", "c.log"][rng.below(3) as usize];
        match rng.below(16) {
            0..=6 => {
                let new = !rig.path(name).exists();
                let bytes = encoded(encoding, new, text(&mut rng, &mut n));
                rig.write(name, &bytes);
                model.file(name).extend_from_slice(&bytes);
            }
            7 => {
                if !wide {
                    // What was never seen under a name that matches is not followed.
                    rig.settle();
                }
                let pack = wide && rng.below(2) == 0;
                rotate(&mut rig, &mut model, name, pack);
            }
            // What was not read before it is destroyed would be lost: the truth must know what was read.
            8 => {
                rig.later();
                if model.end(name) {
                    rig.truncate(name, 0);
                    let bytes = encoded(encoding, true, text(&mut rng, &mut n));
                    rig.write(name, &bytes);
                    model.file(name).extend_from_slice(&bytes);
                }
            }
            9 => {
                rig.later();
                if model.end(name) {
                    rig.remove(name);
                    rig.later();
                }
            }
            10 => {
                rig.try_step().unwrap();
                rig.restart();
            }
            11 => {
                let kinds = [Fault::Retry, Fault::Abort, Fault::RejoinAbsent, Fault::RejoinDone];
                rig.fail(&[None, Some(kinds[rng.below(4) as usize])]);
            }
            12 => rig.later(),
            _ => {
                rig.try_step().unwrap();
            }
        }
    }
    rig.later();
    // One write more shows also a file that was truncated and is as long as before.
    for at in 0..model.living.len() {
        let (name, bytes) = &mut model.living[at];
        if name.ends_with(".gz") {
            continue;
        }
        let end = encoded(encoding, bytes.is_empty(), b"the end\n".to_vec());
        rig.write(name, &end);
        bytes.extend_from_slice(&end);
    }
    rig.later();
    let mut expected: Vec<_> = model.living.into_iter().map(|(_, bytes)| bytes).chain(model.over).collect();
    expected.iter_mut().for_each(|bytes| *bytes = decoded(encoding, bytes));
    expected.retain(|bytes| !bytes.is_empty());
    let mut rebuilt: Vec<_> = rig.rebuilt().into_iter().map(|(_, bytes)| bytes).collect();
    expected.sort();
    rebuilt.sort();
    for (rebuilt, expected) in rebuilt.iter().zip(&expected) {
        assert_eq!(String::from_utf8_lossy(rebuilt), String::from_utf8_lossy(expected), "seed {seed}");
    }
    assert_eq!(rebuilt.len(), expected.len(), "seed {seed}");
    assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 0, "seed {seed}");
}

/// Moves `x.log.1` to `.2` and `x.log` to `.1`; what is `.2` stays for ever, under a name of its own, packed or not.
fn rotate(rig: &mut Rig, model: &mut Model, name: &str, pack: bool) {
    for (from, to) in [("2", "old"), ("1", "2"), ("", "1")] {
        let from = if from.is_empty() { name.to_owned() } else { format!("{name}.{from}") };
        let Ok(metadata) = std::fs::metadata(rig.path(&from)) else {
            continue;
        };
        let to = if to == "old" { format!("{name}.{}", metadata.ino()) } else { format!("{name}.{to}") };
        rig.rename(&from, &to);
        let packed = pack && to.ends_with(&metadata.ino().to_string());
        if packed {
            rig.gzip(&to);
        }
        let to = if packed { format!("{to}.gz") } else { to };
        for (other, _) in model.living.iter_mut().filter(|(other, _)| *other == from) {
            other.clone_from(&to);
        }
    }
}

#[test]
fn random_operations_rebuild_every_incarnation() {
    for seed in 0..150 {
        check(seed);
    }
}
