//! Lines that belong together, and lines of containers.

use std::time::Duration;

use super::rig::Rig;
use crate::{Container, Join, join_preset};

/// An entry is complete after a minute of silence; a line without its end after an hour.
fn joining(join: Join) -> Rig {
    Rig::with(|options| {
        options.inputs[0].join = Some(join.clone());
        options.inputs[0].entry_timeout = Duration::from_secs(60);
    })
}

fn container(format: Container) -> Rig {
    Rig::with(|options| {
        options.inputs[0].container = Some(format);
        options.inputs[0].entry_timeout = Duration::from_secs(60);
    })
}

fn bodies(rig: &Rig) -> Vec<String> {
    rig.rows().iter().map(|row| String::from_utf8_lossy(&row.bytes).into_owned()).collect()
}

#[test]
fn an_entry_waits_for_the_next_one_or_for_silence() {
    let mut rig = joining(Join::start("^[0-9]"));
    rig.write("a.log", "1 a\n b\n");
    rig.settle();
    assert_eq!(bodies(&rig), [""; 0]);
    rig.write("a.log", " c\n2 d\n");
    rig.settle();
    assert_eq!(bodies(&rig), ["1 a\n b\n c\n"]);
    rig.restart();
    rig.settle();
    assert_eq!(bodies(&rig).len(), 1);
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(bodies(&rig), ["1 a\n b\n c\n", "2 d\n"]);
    rig.write("a.log", " late\n3 e\n");
    rig.settle();
    rig.check(&["1 a\n b\n c\n2 d\n late\n"]);
    assert_eq!(rig.rows().iter().map(|row| row.line).collect::<Vec<_>>(), [0, 3, 4]);
}

#[test]
fn the_beginning_of_a_line_waits_longer_than_whole_lines() {
    let mut rig = joining(Join::indentation());
    rig.write("a.log", "a\n b\n  c");
    rig.now += Duration::from_secs(60);
    rig.settle();
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(bodies(&rig), ["a\n b\n"]);
    rig.later();
    rig.check(&["a\n b\n  c"]);
}

#[test]
fn an_entry_is_whole_whatever_the_cuts() {
    let text = "ok\njava.lang.Error: x\n\tat a.b(c)\nCaused by: d\n\t... 3 more\nok\nlast\n";
    for step in [1, 7, text.len()] {
        let mut rig = joining(join_preset("java").unwrap());
        for part in text.as_bytes().chunks(step) {
            rig.write("a.log", part);
            rig.settle();
            rig.restart();
        }
        rig.later();
        rig.check(&[text]);
        let expected =
            ["ok\n", "java.lang.Error: x\n\tat a.b(c)\nCaused by: d\n\t... 3 more\n", "ok\n", "last\n"];
        assert_eq!(bodies(&rig), expected, "{step}");
    }
}

#[test]
fn entries_of_many_lines_and_large_entries_are_bounded() {
    let mut rig = joining(Join::start("^[0-9]"));
    let text =
        format!("1\n{}2\n", " x\n".repeat(5_000)) + &format!("{}\n", " y".repeat(400_000)).repeat(3) + "3\n";
    rig.write("a.log", &text);
    rig.settle();
    rig.now += Duration::from_secs(60);
    rig.settle();
    rig.check(&[&text]);
    assert!(rig.rows().iter().all(|row| row.bytes.len() <= (1 << 20) + 1));
    let n_lines = rig.rows().iter().map(|row| row.bytes.iter().filter(|byte| **byte == b'\n').count()).max();
    assert_eq!(n_lines, Some(1_000));
}

#[test]
fn a_deleted_file_ends_its_last_entry() {
    let mut rig = joining(Join::start("^[0-9]"));
    rig.write("a.log", "1 a\n b\n");
    rig.settle();
    rig.remove("a.log");
    rig.later();
    rig.check(&["1 a\n b\n"]);
    assert!(rig.positions()[0].finished);
}

#[test]
fn once_does_not_wait_for_more() {
    let mut rig = joining(Join::start("^[0-9]"));
    rig.options.once = true;
    rig.write("a.log", "1 a\n b\n2 c\n d");
    let progress = crate::run(rig.options.clone(), rig.store.clone(), || false, |_| {}).unwrap();
    assert_eq!(progress.lines, 2);
    rig.check(&["1 a\n b\n2 c\n d"]);
}

const CRI: &str = "2026-01-01T00:00:00.000000000Z stdout P a
2026-01-01T00:00:00.000000001Z stderr F err
2026-01-01T00:00:00.000000002Z stdout F b
2026-01-01T00:00:00.000000003Z stdout F c
";

#[test]
fn containers_lines_are_unwrapped_and_neither_lost_nor_repeated_by_a_restart() {
    for step in [1, 50, CRI.len()] {
        let mut rig = container(Container::Auto);
        for part in CRI.as_bytes().chunks(step) {
            rig.write("a.log", part);
            rig.settle();
            rig.restart();
        }
        rig.settle();
        assert_eq!(bodies(&rig), ["err\n", "ab\n", "c\n"]);
        rig.check(&["err\nab\nc\n"]);
        let streams: Vec<_> = rig.rows().into_iter().map(|row| row.attributes).collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let time = pair("container.time", "2026-01-01T00:00:00.000000000Z");
        assert_eq!(streams[1], [pair("a", "b"), pair("container.stream", "stdout"), time]);
        let position = &rig.positions()[0];
        assert_eq!((position.byte, position.text), (CRI.len() as i64, Some(9)));
    }
}

#[test]
fn a_line_whose_last_part_does_not_come_is_sent_as_it_is() {
    let mut rig = container(Container::Cri);
    // The first two lines.
    rig.write("a.log", &CRI[..86]);
    rig.settle();
    assert_eq!(bodies(&rig), [""; 0]);
    rig.later();
    assert_eq!(bodies(&rig), ["a", "err\n"]);
}

#[test]
fn an_over_long_line_of_a_container_travels_in_pieces() {
    let mut rig = Rig::with(|options| {
        options.inputs[0].container = Some(Container::Auto);
        options.inputs[0].entry_timeout = Duration::from_secs(60);
        options.limits.max_line_bytes = 100;
    });
    let long = format!("{{\"log\":\"{}\\n\"}}\n", "x".repeat(300));
    rig.write("a.log", format!("{long}{CRI}{long}"));
    rig.settle();
    let pieces = |at: &[&str]| at.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>();
    assert_eq!(bodies(&rig)[4..6], pieces(&["a", "err\n"])[..], "a group of three lines is too long");
    assert_eq!(bodies(&rig)[..4].concat(), long);
    assert_eq!(bodies(&rig)[bodies(&rig).len() - 4..].concat(), long);
    let rows = rig.rows();
    assert_eq!(rows[..4].iter().map(|row| row.piece.unwrap().0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_group_does_not_fill_a_batch_beyond_its_bound() {
    let mut rig = Rig::with(|options| {
        options.inputs[0].container = Some(Container::Cri);
        options.limits.batch_max_lines = 4;
    });
    rig.write("a.log", CRI.repeat(50));
    rig.settle();
    assert_eq!(rig.rows().len(), 150);
    assert!(rig.store.0.borrow().n_commits >= 38);
}
