use super::*;

fn position(byte: i64, prefix_len: i32) -> FilePosition {
    FilePosition {
        tenant: "t".into(),
        forwarder: "f".into(),
        file_id: file_id(Inode { device: 1, number: 2 }, prefix_len, 3, 0, 0x77),
        stream: "s".into(),
        path: "/a".into(),
        device: 1,
        inode: 2,
        prefix_len,
        prefix_hash: 3,
        tail_len: 0,
        tail_hash: 0,
        truncations: 0,
        byte,
        line: 0,
        piece: 0,
        first_seen: 0,
        lost: 0,
        finished: false,
        text: None,
        cursor: None,
    }
}

/// An incarnation read to byte 100 of 120 with 10 bytes of prefix.
#[track_caller]
fn check(size: u64, prefix_same: bool, tail_same: bool, expected: Verdict) {
    assert_eq!(judge(&position(100, 10), 120, Look { size, prefix_same, tail_same }), expected);
}

#[test]
fn growth_is_the_same_file() {
    check(120, true, true, Verdict::Same);
    check(500, true, true, Verdict::Same);
}

#[test]
fn a_file_shorter_than_what_was_read_is_truncated() {
    check(0, false, false, Verdict::Truncated { lost: 20 });
    check(99, true, true, Verdict::Truncated { lost: 20 });
}

#[test]
fn a_file_that_grew_again_after_a_truncation_is_told_by_its_bytes() {
    check(120, false, true, Verdict::Truncated { lost: 20 });
    check(500, true, false, Verdict::Truncated { lost: 20 });
}

#[test]
fn an_unread_end_that_is_cut_off_is_counted() {
    check(100, true, true, Verdict::Cut { lost: 20 });
    check(110, true, true, Verdict::Cut { lost: 10 });
}

#[test]
fn a_file_id_names_its_birth() {
    assert_eq!(birth_of(&position(0, 0)), Some(0x77));
    assert!(same_birth(&position(0, 0), 0x77) && same_birth(&position(0, 0), 0));
    assert!(!same_birth(&position(0, 0), 0x78));
    assert_eq!(file_id(Inode { device: 255, number: 16 }, 9, -1, 2, 0), "ff-10-9-ffffffffffffffff-2-0");
    let id = |file_id: &str| FilePosition { file_id: file_id.to_owned(), inode: 16, ..position(0, 0) };
    assert_eq!(birth_of(&id("ff-10-9-ffffffffffffffff-2-0")), None);
    assert_eq!(birth_of(&id("ff-10-9-ffffffffffffffff-2-77")), Some(0x77));
    assert_eq!(birth_of(&id("ff-11-9-ffffffffffffffff-2-77")), None, "read from a copy");
}
