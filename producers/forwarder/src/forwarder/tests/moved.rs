use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::rig::{HOUR, Rig};

#[test]
fn a_file_that_was_moved_out_of_sight_is_followed_while_it_is_written_to() {
    for open in [1, 100] {
        let mut rig = Rig::with(|options| {
            options.limits.partial_line_timeout = Duration::from_secs(5);
            options.limits.max_open_files = open;
        });
        fs::create_dir(rig.path("old")).unwrap();
        rig.write("a.log", "one\n");
        rig.settle();
        let mut writer = OpenOptions::new().append(true).open(rig.path("a.log")).unwrap();
        rig.rename("a.log", "old/a.log.1");
        rig.write("a.log", "new\n");
        rig.settle();
        rig.now += Duration::from_secs(60);
        rig.settle();
        writer.write_all(b"late\n").unwrap();
        rig.later();
        // Where files are closed to make room for others it is finished at once.
        rig.check(if open == 1 { &["one\n", "new\n"] } else { &["one\nlate\n", "new\n"] });
        assert_eq!(rig.forwarder.progress().files, 1);
    }
}

#[test]
fn a_deleted_file_is_not_held_open_for_long() {
    let mut rig = Rig::with(|options| options.limits.partial_line_timeout = Duration::from_secs(5));
    rig.write("a.log", "one\n");
    rig.settle();
    rig.remove("a.log");
    rig.settle();
    rig.now += Duration::from_secs(10);
    rig.settle();
    assert_eq!(rig.forwarder.progress().open_files, 0);
}

#[test]
fn a_folder_behind_a_link_that_leads_elsewhere_leaves_nothing_behind() {
    let mut rig = Rig::new();
    for (folder, text) in [("22", "one\n"), ("23", "new\n")] {
        fs::create_dir(rig.path(folder)).unwrap();
        rig.write(&format!("{folder}/a.log"), text);
    }
    symlink("22", rig.path("current")).unwrap();
    rig.options.inputs[0].globs = vec![rig.path("current/*.log").to_str().unwrap().into()];
    rig.restart();
    rig.settle();
    symlink("23", rig.path("next")).unwrap();
    rig.rename("next", "current");
    rig.later();
    rig.write("22/a.log", "late\n");
    rig.later();
    rig.check(&["one\nlate\n", "new\n"]);
}

#[test]
fn a_pipe_in_the_place_of_a_closed_file_is_not_waited_for() {
    let mut rig = Rig::with(|options| {
        options.limits.max_open_files = 1;
        options.limits.scan_interval = HOUR * 10;
    });
    rig.write("0.log", "x\n");
    rig.write("a.log", "partial");
    rig.settle();
    rig.remove("a.log");
    assert!(std::process::Command::new("mkfifo").arg(rig.path("a.log")).status().unwrap().success());
    rig.later();
    assert_eq!(rig.forwarder.progress().troubled_files, 1);
    rig.check(&["x\n"]);
}
