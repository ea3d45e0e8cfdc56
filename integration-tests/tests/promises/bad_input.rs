//! Bad input: whatever bytes a file holds, it is rebuilt exactly; files that vanish or cannot be read harm no other.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::harness::equality::assert_same;
use crate::harness::{World, until};

/// Ten times the longest line: it travels in pieces.
const LONG: usize = 10 << 20;

/// Files and the number of records that each becomes.
fn files() -> Vec<(&'static str, Vec<u8>, u64)> {
    // No two pieces alike, and a word at the very beginning: the first piece is what is parsed and indexed.
    let mut long = b"firstpiece ".to_vec();
    long.extend((0u64..).flat_map(|n| format!("{n:x} ").into_bytes()).take(LONG - long.len()));
    long.extend(b"\nafter the long line\n");
    let all_bytes: Vec<u8> = (0..=255u8).filter(|byte| *byte != b'\n').chain(*b"\n").collect();
    vec![
        ("empty-file.log", Vec::new(), 0),
        ("empty-lines.log", b"\n\n\nnotempty\n\n".to_vec(), 5),
        ("long.log", long, 11),
        (
            "not-utf8.log",
            [b"latin1 caf\xe9 wordlatin\n".to_vec(), all_bytes, b"\xff\xfe\n".to_vec()].concat(),
            3,
        ),
        ("nul.log", b"before\0after wordnul\n\0\n\0\0\0\n".to_vec(), 3),
        ("crlf.log", b"windows line wordcrlf\r\n\r\nlone \r inside\r\nunix\n".to_vec(), 4),
        (
            "json-odd.log",
            b"{\"a\": 1e999}\n{\"a\":{\"b\":[1,{\"c\":null}]}}\n{\"unfinished\": \n[]\n\"text\"\n{}\n"
                .to_vec(),
            6,
        ),
        ("no-end.log", b"wordnoend without its newline".to_vec(), 1),
    ]
}

#[test]
fn bytes_of_every_kind_are_rebuilt_exactly() {
    let mut world = World::new("bad-bytes");
    world.apply_topics();
    let logs = world.forward_with("web1", |section| {
        section.insert("partial_line_timeout_ms".to_owned(), 1_000.into());
    });
    let files = files();
    for (name, bytes, _) in &files {
        fs::write(logs.join(name), bytes).unwrap();
    }
    world.start_all();
    let n_records = files.iter().map(|(_, _, n)| n).sum();
    world.wait_through(n_records);
    world.assert_balanced();
    let lines = world.assert_topics(n_records);
    for (name, bytes, n) in files.iter().filter(|(_, bytes, _)| !bytes.is_empty()) {
        let path = logs.join(name).display().to_string();
        assert_eq!(lines.iter().filter(|line| line.file == path).count() as u64, *n, "records of {name}");
        assert_same(&world.cat("web1", &path, &[]), bytes, name);
    }
    // Each can be found by what is text in it; the long line by its first piece.
    for word in ["notempty", "wordlatin", "wordnul", "wordcrlf", "wordnoend", "firstpiece"] {
        world.wait_found(word, 1);
    }
    world.stop();
}

#[test]
fn files_that_vanish_or_cannot_be_read_harm_no_other() {
    let mut world = World::new("bad-files");
    world.apply_topics();
    let logs = world.forward("web1");
    // Matched by the glob, and none of them is a file that can be read.
    symlink(logs.join("nowhere"), logs.join("dangling.log")).unwrap();
    symlink(logs.join("loop.log"), logs.join("loop.log")).unwrap();
    fs::create_dir(logs.join("folder.log")).unwrap();
    world.start_all();
    // Large enough to be deleted while it is read; what was open is read to its end.
    let vanishing = logs.join("vanishing.log");
    let text = b"a line of a file that goes away while it is being read\n".repeat(200_000);
    let n_vanishing = 200_000;
    fs::write(&vanishing, &text).unwrap();
    let log = world.log();
    until("the file is being read", Duration::from_secs(60), || {
        world.check();
        let n = log.ends("logs.raw").1;
        if n > 0 { Ok(()) } else { Err("nothing came") }
    });
    fs::remove_file(&vanishing).unwrap();
    let good = logs.join("good.log");
    fs::write(&good, b"wordgood one\nwordgood two\n").unwrap();

    world.wait_through(n_vanishing + 2);
    world.assert_balanced();
    world.assert_topics(n_vanishing + 2);
    assert_same(&world.cat("web1", &vanishing.display().to_string(), &[]), &text, "the file that vanished");
    assert_same(
        &world.cat("web1", &good.display().to_string(), &[]),
        &fs::read(&good).unwrap(),
        "the good file",
    );
    world.wait_found("wordgood", 2);
    for name in ["dangling.log", "loop.log", "folder.log"] {
        let said = world.service("forward-web1").log().lines().filter(|line| line.contains(name)).count();
        assert_eq!(said, 1, "{name} is to be named once");
    }
    // What could not be read is read once it can be.
    fs::remove_file(logs.join("dangling.log")).unwrap();
    write_slowly(&logs.join("dangling.log"));
    world.wait_found("worddangling", 1);
    world.stop();
}

fn write_slowly(path: &Path) {
    use std::io::Write;
    let mut file = File::create(path).unwrap();
    file.write_all(b"now it is there: worddangling\n").unwrap();
}
