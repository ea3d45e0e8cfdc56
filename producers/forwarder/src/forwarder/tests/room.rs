//! Files whose end is set aside before it is written, as writers with a memory map leave them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use super::rig::Rig;
use crate::options::Start;

/// A file of 3 MiB that begins with `text`.
fn set_aside(rig: &Rig, text: &str) -> File {
    rig.write("a.log", text);
    let file = OpenOptions::new().write(true).open(rig.path("a.log")).unwrap();
    file.set_len(3 << 20).unwrap();
    file
}

#[test]
fn what_is_written_into_room_set_aside_is_read_once() {
    let mut rig = Rig::new();
    let file = set_aside(&rig, "");
    rig.later();
    let time = SystemTime::now();
    let mut text = String::new();
    for n in 0..60 {
        let line = format!("line number {n}\n");
        file.write_all_at(line.as_bytes(), text.len() as u64).unwrap();
        // A memory map that is written to need not change the time.
        file.set_modified(time).unwrap();
        text.push_str(&line);
        match n % 20 {
            5 => rig.later(),
            10 => rig.restart(),
            _ => {}
        }
        rig.settle();
        rig.check(&[&text]);
    }
    assert_eq!(rig.forwarder.progress().behind_bytes, 0);
    file.set_len(text.len() as u64).unwrap();
    rig.later();
    rig.write("a.log", "end\n");
    rig.later();
    rig.check(&[&format!("{text}end\n")]);
    assert_eq!(rig.forwarder.progress().lost_bytes, 0);
}

#[test]
fn room_that_was_never_written_is_handed_on_when_the_file_is_gone() {
    let mut rig = Rig::new();
    drop(set_aside(&rig, "one\n"));
    rig.later();
    rig.check(&["one\n"]);
    rig.remove("a.log");
    for _ in 0..5 {
        rig.later();
    }
    assert!(rig.rebuilt()[0].1 == [&b"one\n"[..], &vec![0; (3 << 20) - 4]].concat());
    assert_eq!((rig.forwarder.progress().files, rig.forwarder.progress().lost_bytes), (0, 0));
}

#[test]
fn nul_bytes_before_a_line_are_kept() {
    let mut rig = Rig::new();
    let file = set_aside(&rig, "one\n");
    file.write_all_at(b"two\n", 2 << 20).unwrap();
    rig.settle();
    assert!(rig.rebuilt()[0].1 == [&b"one\n"[..], &vec![0; (2 << 20) - 4], b"two\n"].concat());
}

#[test]
fn the_end_of_a_file_is_before_its_room() {
    let mut rig = Rig::with(|options| options.inputs[0].start = Start::End);
    let file = set_aside(&rig, "old\n");
    rig.settle();
    file.write_all_at(b"new\n", 4).unwrap();
    rig.settle();
    rig.check(&["new\n"]);
}

#[test]
fn a_hole_is_passed_over_whatever_its_size() {
    for start in [Start::Beginning, Start::End] {
        let mut rig = Rig::with(|options| options.inputs[0].start = start);
        let file = set_aside(&rig, "old\n");
        file.set_len(1 << 40).unwrap();
        rig.settle();
        let mut text = "old\n".to_owned();
        for n in 0..20 {
            let line = format!("line number {n}\n");
            file.write_all_at(line.as_bytes(), text.len() as u64).unwrap();
            text.push_str(&line);
            rig.settle();
        }
        rig.check(&[if start == Start::End { &text[4..] } else { &text }]);
    }
}

#[test]
fn what_is_written_far_behind_room_that_was_filled_is_found_in_time() {
    let mut rig = Rig::new();
    let file = set_aside(&rig, "one\n");
    let mut truth = vec![0; 3 << 20];
    truth[..4].copy_from_slice(b"one\n");
    file.write_all_at(&truth, 0).unwrap();
    for _ in 0..5 {
        rig.settle();
        rig.check(&["one\n"]);
    }
    // Behind what the look that is under way has passed, and before it.
    for at in [1 << 20, truth.len() - 8] {
        truth[at..at + 4].copy_from_slice(b"two\n");
        file.write_all_at(&truth, 0).unwrap();
        file.set_modified(SystemTime::now() + std::time::Duration::from_secs(at as u64)).unwrap();
        for _ in 0..5 {
            rig.settle();
        }
        assert!(rig.rebuilt()[0].1 == truth[..at + 4], "what was written at byte {at}");
    }
}
