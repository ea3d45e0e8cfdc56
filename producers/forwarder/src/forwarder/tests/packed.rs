//! Files that are compressed after their rotation.

use std::io::Write;

use super::rig::Rig;

impl Rig {
    /// As `gzip NAME`: the packed file appears, then the original goes.
    pub(super) fn gzip(&self, name: &str) {
        self.gzip_keep(name);
        self.remove(name);
    }

    pub(super) fn gzip_keep(&self, name: &str) {
        let bytes = std::fs::read(self.path(name)).unwrap();
        let file = std::fs::File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(&bytes).unwrap();
        packer.finish().unwrap();
    }
}

/// Short ones are known by the bytes before the position, long ones by first bytes and length.
fn texts() -> [String; 2] {
    ["one\ntwo\n".to_owned(), "a line of a longer file\n".repeat(50)]
}

#[test]
fn what_was_read_is_not_read_again_once_it_is_packed() {
    for text in texts() {
        for down in [false, true] {
            let mut rig = Rig::wide();
            rig.write("a.log", &text);
            rig.settle();
            rig.rename("a.log", "a.log.1");
            rig.write("a.log", "new\n");
            rig.settle();
            if down {
                rig.gzip("a.log.1");
                rig.restart();
            } else {
                rig.gzip_keep("a.log.1");
                rig.settle();
                rig.remove("a.log.1");
            }
            rig.later();
            rig.check(&[&text, "new\n"]);
            rig.rename("a.log.1.gz", "a.log.2.gz");
            rig.restart();
            rig.later();
            rig.check(&[&text, "new\n"]);
        }
    }
}

#[test]
fn a_file_that_was_empty_when_it_was_met_is_known_once_it_is_packed() {
    for text in texts() {
        let mut rig = Rig::wide();
        // As logrotate makes it.
        rig.write("a.log", "");
        rig.settle();
        rig.write("a.log", &text);
        rig.settle();
        rig.rename("a.log", "a.log.1");
        rig.write("a.log", "");
        rig.settle();
        rig.write("a.log", "new\n");
        rig.gzip("a.log.1");
        rig.later();
        rig.check(&[&text, "new\n"]);
    }
}

#[test]
fn what_was_never_read_is_read_from_the_packed_file() {
    for text in texts() {
        let mut rig = Rig::wide();
        for name in ["a.log", "b.log"] {
            rig.write(name, format!("{name} {text}"));
            rig.gzip(name);
        }
        rig.later();
        rig.check(&[&format!("a.log {text}"), &format!("b.log {text}")]);
        rig.restart();
        rig.later();
        assert_eq!(rig.rebuilt().len(), 2);
        assert!(rig.positions().iter().all(|position| position.finished && position.lost == 0));
        assert_eq!(rig.forwarder.progress().open_files, 0);
    }
}

#[test]
fn the_rest_of_a_file_is_read_from_what_it_was_packed_into() {
    for text in texts() {
        for open in [1, 100] {
            for down in [false, true] {
                let mut rig = Rig::with(|options| options.limits.max_open_files = open).widen();
                rig.write("0.log", "x\n");
                rig.write("a.log", &text);
                rig.settle();
                rig.write("a.log", "written, and not read before it was packed\n");
                if down {
                    rig.gzip("a.log");
                    rig.restart();
                } else {
                    rig.store.0.borrow_mut().may_write = false;
                    rig.try_step().unwrap();
                    rig.gzip("a.log");
                    rig.try_step().unwrap();
                    rig.store.0.borrow_mut().may_write = true;
                }
                rig.later();
                rig.check(&["x\n", &format!("{text}written, and not read before it was packed\n")]);
                assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 0);
            }
        }
    }
}

#[test]
fn a_restart_in_the_middle_of_a_packed_file_repeats_nothing() {
    let mut rig = Rig::with(|options| options.limits.batch_max_lines = 10).widen();
    let text: String = (0..100).map(|i| format!("line {i}\n")).collect();
    rig.write("a.log", &text);
    rig.gzip("a.log");
    for _ in 0..20 {
        rig.try_step().unwrap();
        rig.restart();
    }
    rig.later();
    rig.check(&[&text]);
}

#[test]
fn a_packed_file_that_is_not_complete_is_waited_for() {
    let mut rig = Rig::wide();
    rig.write("a.log", "some text that is packed and cut off\n".repeat(100));
    let text = std::fs::read_to_string(rig.path("a.log")).unwrap();
    rig.gzip("a.log");
    let whole = std::fs::read(rig.path("a.log.gz")).unwrap();
    std::fs::write(rig.path("a.log.gz"), &whole[..whole.len() / 2]).unwrap();
    rig.settle();
    assert_eq!(rig.rows().len(), 0);
    assert_eq!(rig.forwarder.progress().troubled_files, 1);
    std::fs::write(rig.path("a.log.gz"), &whole).unwrap();
    rig.later();
    rig.check(&[&text]);
    assert_eq!(rig.forwarder.progress().troubled_files, 0);
}

#[test]
fn a_packed_file_is_waited_for_from_its_name_on() {
    let mut rig = Rig::wide();
    rig.write("a.log", "some text that takes long to be packed\n".repeat(100));
    let text = std::fs::read_to_string(rig.path("a.log")).unwrap();
    rig.gzip("a.log");
    let whole = std::fs::read(rig.path("a.log.gz")).unwrap();
    for n in [0, 1] {
        std::fs::write(rig.path("a.log.gz"), &whole[..n]).unwrap();
        rig.later();
        assert_eq!((rig.rows().len(), rig.forwarder.progress().troubled_files), (0, 0));
    }
    std::fs::write(rig.path("a.log.gz"), &whole).unwrap();
    rig.later();
    rig.check(&[&text]);
}

#[test]
fn files_that_begin_alike_are_told_apart_when_packed() {
    let mut rig = Rig::wide();
    let head = "the same head of every file, long enough to be a whole print\n".repeat(5);
    rig.write("a.log", format!("{head}first\n"));
    rig.settle();
    rig.rename("a.log", "a.log.1");
    rig.write("a.log", &head);
    rig.settle();
    rig.gzip("a.log.1");
    rig.settle();
    // Never seen before it is packed.
    rig.write("c", format!("{head}other one\n"));
    rig.gzip("c");
    rig.rename("c.gz", "c.log.gz");
    rig.write("a.log", "second\n");
    rig.later();
    rig.check(&[&format!("{head}first\n"), &format!("{head}second\n"), &format!("{head}other one\n")]);
}

#[test]
fn a_name_that_only_looks_packed_is_a_file_like_others() {
    let mut rig = Rig::wide();
    rig.write("a.log.gz", "one\n");
    rig.settle();
    rig.write("a.log.gz", "two\n");
    rig.settle();
    rig.check(&["one\ntwo\n"]);
}
