use std::fs;

use super::rig::Rig;
use crate::{Start, Step};

#[test]
fn a_file_is_read_and_then_followed() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\ntwo\n");
    rig.settle();
    rig.check(&["one\ntwo\n"]);
    rig.write("a.log", "three\n");
    rig.settle();
    rig.restart();
    rig.write("a.log", "four\n");
    rig.settle();
    rig.check(&["one\ntwo\nthree\nfour\n"]);
    assert_eq!(rig.positions().len(), 1);
    assert_eq!((rig.positions()[0].byte, rig.positions()[0].line), (19, 4));
}

#[test]
fn a_partial_line_is_held_until_it_is_complete() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\ntw");
    rig.settle();
    rig.check(&["one\n"]);
    rig.write("a.log", "o\n");
    rig.settle();
    let bytes: Vec<_> = rig.rows().iter().map(|row| row.bytes.clone()).collect();
    assert_eq!(bytes, [b"one\n", b"two\n"]);
}

#[test]
fn a_partial_line_that_stays_is_sent_without_its_end() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\ntw");
    rig.later();
    rig.check(&["one\ntw"]);
    rig.write("a.log", "o\r\nthree\n");
    rig.settle();
    rig.check(&["one\ntwo\r\nthree\n"]);
    let places: Vec<_> = rig.rows().iter().map(|row| (row.byte, row.line)).collect();
    assert_eq!(places, [(0, 0), (4, 1), (6, 1), (9, 2)]);
}

#[test]
fn all_bytes_are_kept() {
    let mut rig = Rig::new();
    let bytes = b"crlf\r\n\n\r\n\0nul\0\n\xff\xfe\x80\nlone\rcr\n\r\r\n\xc3\n".repeat(100);
    rig.write("a.log", &bytes);
    rig.settle();
    assert_eq!(rig.rebuilt()[0].1, bytes);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    for wide in [false, true] {
        let mut rig = if wide { Rig::wide() } else { Rig::new() };
        rig.write("a.log", "one\n");
        rig.settle();
        rig.write("a.log", "two\n");
        rig.rename("a.log", "a.log.1");
        rig.write("a.log", "new\n");
        rig.settle();
        rig.write("a.log.1", "late\n");
        rig.settle();
        rig.check(&["one\ntwo\nlate\n", "new\n"]);
        let bytes: Vec<_> = rig.rows().iter().map(|row| row.bytes.clone()).collect();
        assert_eq!(bytes, [&b"one\n"[..], b"two\n", b"new\n", b"late\n"]);
        assert!(rig.rows().iter().all(|row| row.path.ends_with("/a.log")));
    }
}

#[test]
fn a_file_renamed_while_down_is_found_again() {
    for wide in [false, true] {
        let mut rig = if wide { Rig::wide() } else { Rig::new() };
        rig.write("a.log", "one\n");
        rig.settle();
        rig.write("a.log", "two\n");
        rig.rename("a.log", "a.log.1");
        rig.write("a.log", "new\n");
        rig.restart();
        rig.settle();
        rig.check(&["one\ntwo\n", "new\n"]);
        rig.rename("a.log.1", "a.log.2");
        rig.rename("a.log", "a.log.1");
        rig.restart();
        rig.write("a.log.2", "late\n");
        rig.settle();
        rig.check(&["one\ntwo\nlate\n", "new\n"]);
        assert!(rig.positions().iter().all(|position| !position.finished));
    }
}

#[test]
fn a_truncated_file_begins_a_new_incarnation() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\ntwo\n");
    rig.settle();
    rig.truncate("a.log", 0);
    rig.settle();
    rig.write("a.log", "new\n");
    rig.settle();
    rig.check(&["one\ntwo\n", "new\n"]);
    let positions = rig.positions();
    assert_eq!((positions[0].finished, positions[0].lost, positions[0].truncations), (true, 0, 0));
    assert_eq!((positions[1].finished, positions[1].truncations), (false, 1));
}

#[test]
fn a_truncated_file_that_grew_again_is_told_by_its_bytes() {
    for down in [false, true] {
        for text in ["longer than before\n", "eno\nowt\n"] {
            let mut rig = Rig::new();
            rig.write("a.log", "one\ntwo\n");
            rig.settle();
            rig.truncate("a.log", 0);
            rig.write("a.log", text);
            if down {
                rig.restart();
            }
            rig.settle();
            rig.write("a.log", "more\n");
            rig.settle();
            rig.check(&["one\ntwo\n", &format!("{text}more\n")]);
        }
    }
}

#[test]
fn bytes_that_a_truncation_destroyed_are_counted() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\npartial");
    rig.settle();
    rig.truncate("a.log", 0);
    rig.settle();
    rig.write("a.log", "new\n");
    rig.settle();
    rig.check(&["one\n", "new\n"]);
    assert_eq!(rig.positions()[0].lost, 7);
    assert_eq!(rig.forwarder.progress().lost_bytes, 7);
}

#[test]
fn an_unread_end_that_is_cut_off_is_counted() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.settle();
    rig.write("a.log", "partial");
    rig.settle();
    rig.truncate("a.log", 6);
    rig.settle();
    rig.write("a.log", "th\n");
    rig.settle();
    rig.check(&["one\npath\n"]);
    assert_eq!(rig.positions()[0].lost, 5);
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.settle();
    rig.write("a.log", "two\npartial");
    rig.remove("a.log");
    rig.later();
    rig.check(&["one\ntwo\npartial"]);
    assert!(rig.positions()[0].finished);
    assert_eq!(rig.forwarder.progress().files, 0);
    assert_eq!(rig.forwarder.progress().open_files, 0);
}

#[test]
fn a_file_made_anew_under_the_same_name_is_a_new_incarnation() {
    for down in [false, true] {
        let mut rig = Rig::new();
        // With nothing held open, the file system is free to use the inode again.
        rig.options.limits.max_open_files = 1;
        rig.restart();
        rig.write("0.log", "x\n");
        rig.write("a.log", "same\n");
        rig.settle();
        for _ in 0..3 {
            rig.remove("a.log");
            // A birth is told by ticks of the file system's clock.
            let old = fs::metadata(rig.path("0.log")).unwrap().created().unwrap();
            while tick(&rig) <= old {}
            rig.write("a.log", "same\n");
            if down {
                rig.restart();
            }
            rig.settle();
        }
        rig.check(&["x\n", "same\n", "same\n", "same\n", "same\n"]);
    }
}

fn tick(rig: &Rig) -> std::time::SystemTime {
    fs::write(rig.path("tick"), "").unwrap();
    let time = fs::metadata(rig.path("tick")).unwrap().created().unwrap();
    rig.remove("tick");
    time
}

#[test]
fn a_line_of_10_mib_travels_in_pieces_also_across_a_restart() {
    let mut rig = Rig::new();
    let line = [vec![b'x'; 10 << 20], b"\r\nnext\n".to_vec()].concat();
    rig.write("a.log", &line[..4_500_000]);
    rig.settle();
    rig.restart();
    rig.write("a.log", &line[4_500_000..]);
    rig.settle();
    assert_eq!(rig.rebuilt()[0].1, line);
    let pieces: Vec<_> = rig.rows().iter().map(|row| row.piece).collect();
    let mut expected: Vec<_> = (0..10).map(|i| Some((i, i == 9))).collect();
    expected.push(None);
    assert_eq!(pieces, expected);
    // The bound, and one record that may pass it.
    assert!(rig.store.0.borrow().largest_batch < crate::Limits::USUAL.batch_max_bytes + (1 << 20) + 4_096);
}

#[test]
fn a_file_that_appears_while_down_is_read_from_its_beginning() {
    let mut rig = Rig::with(|options| options.inputs[0].start = Start::End);
    rig.write("a.log", "old\n");
    rig.settle();
    rig.write("a.log", "new\n");
    rig.write("b.log", "b\n");
    rig.settle();
    rig.restart();
    rig.write("c.log", "c\n");
    rig.settle();
    rig.check(&["new\n", "b\n", "c\n"]);
}

#[test]
fn what_cannot_be_read_is_said_and_does_not_disturb() {
    let mut rig = Rig::new();
    fs::create_dir(rig.path("directory.log")).unwrap();
    std::os::unix::fs::symlink(rig.path("nowhere"), rig.path("dangling.log")).unwrap();
    rig.write("z.log", "one\n");
    rig.settle();
    rig.check(&["one\n"]);
    assert_eq!(rig.forwarder.progress().troubled_files, 2);
    rig.write("nowhere", "two\n");
    fs::remove_dir(rig.path("directory.log")).unwrap();
    rig.settle();
    rig.check(&["one\n", "two\n"]);
    assert_eq!(rig.forwarder.progress().troubled_files, 0);
}

#[test]
fn a_file_that_vanishes_before_it_is_opened_again_is_lost_and_counted() {
    let mut rig = Rig::with(|options| options.limits.max_open_files = 1);
    rig.write("a.log", "one\n");
    rig.write("b.log", "one\n");
    rig.settle();
    rig.write("b.log", "two\n");
    rig.store.0.borrow_mut().may_write = false;
    assert_eq!(rig.try_step().unwrap(), Step::Waiting);
    rig.remove("b.log");
    rig.store.0.borrow_mut().may_write = true;
    rig.later();
    rig.check(&["one\n", "one\n"]);
    assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 4);
}

#[test]
fn nothing_is_read_while_the_pipeline_is_full() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.store.0.borrow_mut().may_write = false;
    assert_eq!(rig.try_step().unwrap(), Step::Waiting);
    assert!(rig.forwarder.progress().waiting);
    rig.store.0.borrow_mut().may_write = true;
    rig.settle();
    rig.check(&["one\n"]);
}

#[test]
fn bytes_destroyed_while_the_pipeline_is_full_are_counted() {
    for n_open in [1, 100] {
        let mut rig = Rig::with(|options| options.limits.max_open_files = n_open);
        rig.write("0.log", "x\n");
        rig.write("a.log", "one\n");
        rig.settle();
        rig.store.0.borrow_mut().may_write = false;
        rig.write("a.log", "never read\n");
        rig.try_step().unwrap();
        rig.truncate("a.log", 0);
        rig.write("a.log", "what came after it, which is longer\n");
        rig.try_step().unwrap();
        rig.store.0.borrow_mut().may_write = true;
        rig.settle();
        rig.check(&["x\n", "one\n", "what came after it, which is longer\n"]);
        assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 11);
    }
}

#[test]
fn files_take_turns() {
    let mut rig = Rig::with(|options| {
        options.limits.quantum_bytes = 1;
        options.limits.batch_max_lines = 70_000;
    });
    let long = "line\n".repeat(200_000);
    rig.write("a.log", &long);
    rig.write("b.log", "short\n");
    rig.settle();
    let rows = rig.rows();
    let short = rows.iter().position(|row| row.bytes == b"short\n").unwrap();
    assert!(short < 60_000, "{short}");
    assert_eq!(rows.len(), 200_001);
}

#[test]
fn many_files_need_few_descriptors() {
    let mut rig = Rig::with(|options| options.limits.max_open_files = 16);
    for i in 0..500 {
        rig.write(&format!("{i:03}.log"), format!("first of {i}\n"));
    }
    rig.settle();
    for i in 0..500 {
        rig.write(&format!("{i:03}.log"), format!("second of {i}\n"));
    }
    rig.settle();
    assert_eq!(rig.rows().len(), 1_000);
    assert_eq!(rig.rebuilt().len(), 500);
    let progress = rig.forwarder.progress();
    assert_eq!((progress.files, progress.behind_bytes), (500, 0));
    assert!(progress.open_files <= 16, "{}", progress.open_files);
}

#[test]
fn old_finished_positions_are_forgotten() {
    let mut rig = Rig::with(|options| options.limits.keep_finished = super::rig::HOUR * 10);
    rig.write("a.log", "one\n");
    rig.settle();
    rig.remove("a.log");
    rig.later();
    assert_eq!(rig.positions().len(), 1);
    rig.now += super::rig::HOUR * 10;
    rig.settle();
    assert_eq!(rig.positions().len(), 0);
}

#[test]
fn once_reads_everything_and_returns() {
    let rig = Rig::with(|options| options.once = true);
    rig.write("a.log", "one\npartial");
    rig.write("b.log", "two\n".repeat(120_000));
    let progress = crate::run(rig.options.clone(), rig.store.clone(), || false, |_| {}).unwrap();
    assert_eq!(progress.lines, 120_002);
    assert_eq!(rig.rebuilt().iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), 480_011);
}

/// A link in the followed folder, what it leads to in another one.
fn linked(change: impl Fn(&mut crate::Options)) -> Rig {
    let rig = Rig::with(change);
    fs::create_dir(rig.path("elsewhere")).unwrap();
    rig
}

fn link(rig: &Rig, to: &str) {
    let name = rig.path("a.log");
    if name.symlink_metadata().is_ok() {
        fs::remove_file(&name).unwrap();
    }
    std::os::unix::fs::symlink(rig.path(to), name).unwrap();
}

#[test]
fn a_link_that_leads_elsewhere_leaves_nothing_behind() {
    for open in [1, 100] {
        for down in [false, true] {
            let mut rig = linked(|options| options.limits.max_open_files = open);
            rig.write("0.log", "x\n");
            rig.write("elsewhere/1", "one\n");
            link(&rig, "elsewhere/1");
            rig.settle();
            rig.store.0.borrow_mut().may_write = false;
            rig.write("elsewhere/1", "two\n");
            rig.try_step().unwrap();
            rig.write("elsewhere/2", "new\n");
            link(&rig, "elsewhere/2");
            if down {
                rig.restart();
            }
            rig.try_step().unwrap();
            rig.store.0.borrow_mut().may_write = true;
            rig.settle();
            rig.write("elsewhere/1", "late\n");
            rig.later();
            rig.check(&["x\n", "one\ntwo\nlate\n", "new\n"]);
            assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 0);
        }
    }
}

#[test]
fn a_file_with_several_names_is_read_once() {
    let mut rig = linked(|_| {});
    rig.write("elsewhere/1", "one\n");
    link(&rig, "elsewhere/1");
    fs::hard_link(rig.path("elsewhere/1"), rig.path("b.log")).unwrap();
    std::os::unix::fs::symlink(rig.path("b.log"), rig.path("c.log")).unwrap();
    rig.settle();
    rig.write("elsewhere/1", "two\n");
    rig.restart();
    rig.settle();
    rig.check(&["one\ntwo\n"]);
    // As long as one of them is left it is followed.
    rig.remove("a.log");
    rig.remove("c.log");
    rig.write("elsewhere/1", "three\n");
    rig.later();
    rig.check(&["one\ntwo\nthree\n"]);
    assert_eq!(rig.positions().len(), 1);
}
