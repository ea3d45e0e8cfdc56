//! What an input declares: paths left out, where to begin, how characters are written, what is masked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rig::Rig;
use crate::{Encoding, Limits, Redaction, Start};

#[test]
fn what_is_left_out_is_not_read() {
    let mut rig = Rig::with(|options| options.inputs[0].exclude = vec!["debug*".into()]);
    rig.write("a.log", "one\n");
    rig.write("debug.log", "two\n");
    rig.settle();
    rig.check(&["one\n"]);
    // It stays followed when it is renamed so that it would be left out.
    rig.write("a.log", "three\n");
    rig.rename("a.log", "debug.a.log");
    rig.settle();
    rig.check(&["one\nthree\n"]);
}

#[test]
fn since_begins_at_the_end_of_what_was_not_changed_since() {
    let limit = SystemTime::now() - Duration::from_secs(3600);
    let micros = limit.duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let mut rig = Rig::with(|options| options.inputs[0].start = Start::Since(micros));
    for (name, age) in [("old.log", 7_200), ("young.log", 60)] {
        rig.write(name, format!("{name}\n"));
        let file = std::fs::File::options().write(true).open(rig.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    rig.settle();
    rig.check(&["young.log\n"]);
    rig.write("old.log", "goes on\n");
    rig.settle();
    rig.check(&["young.log\n", "goes on\n"]);
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn utf_16_is_handed_on_as_utf_8_whatever_the_cuts() {
    let text = "\u{feff}größe: 5 €\r\n😀 二\n\nlast";
    let shown = &text[3..];
    for (bytes, encoding) in [
        (utf16(text, u16::to_le_bytes), Encoding::Utf16),
        (utf16(text, u16::to_be_bytes), Encoding::Utf16),
        (utf16(text, u16::to_be_bytes), Encoding::Utf16Be),
        (utf16(shown, u16::to_be_bytes), Encoding::Utf16Be),
        (utf16(shown, u16::to_le_bytes), Encoding::Utf16),
    ] {
        for step in [1, 3, bytes.len()] {
            let mut rig = Rig::with(|options| options.inputs[0].encoding = encoding);
            for part in bytes.chunks(step) {
                rig.write("a.log", part);
                rig.try_step().unwrap();
                if step == 3 {
                    rig.restart();
                }
            }
            rig.later();
            rig.check(&[shown]);
            let position = &rig.positions()[0];
            assert_eq!((position.byte, position.text), (bytes.len() as i64, Some(shown.len() as i64)));
        }
    }
}

#[test]
fn latin_1_is_handed_on_as_utf_8() {
    let mut rig = Rig::with(|options| {
        options.inputs[0].encoding = Encoding::Latin1;
        options.limits.max_line_bytes = 16;
    });
    let bytes = b"gr\xfc\xdfe\n\xe4\xe4\xe4\xe4\xe4\xe4\xe4\xe4\xe4\xe4\n".repeat(50);
    rig.write("a.log", &bytes);
    rig.settle();
    rig.write("a.log", b"\xff\n");
    rig.restart();
    rig.settle();
    rig.check(&[&("grüße\nääääääääää\n".repeat(50) + "ÿ\n")]);
    assert_eq!(
        rig.rows()[0].attributes,
        [("a", "b"), ("encoding", "latin-1")].map(|(k, v)| (k.into(), v.into()))
    );
}

#[test]
fn a_file_that_ends_within_a_character_is_finished_all_the_same() {
    let mut rig = Rig::with(|options| options.inputs[0].encoding = Encoding::Utf16Le);
    rig.write("a.log", b"\xff\xfea\0\n\0b\0c");
    rig.later();
    rig.check(&["a\nb"]);
    rig.remove("a.log");
    rig.later();
    rig.check(&["a\nb"]);
    assert_eq!((rig.positions()[0].finished, rig.positions()[0].lost), (true, 1));
    // A mark alone is no loss.
    rig.write("b.log", b"\xff\xfe");
    rig.later();
    rig.remove("b.log");
    rig.later();
    assert_eq!(rig.positions().iter().map(|position| position.lost).sum::<i64>(), 1);
    assert_eq!(rig.forwarder.progress().files, 0);
}

#[test]
fn a_long_line_of_utf_16_travels_in_pieces() {
    let mut rig = Rig::with(|options| options.inputs[0].encoding = Encoding::Utf16);
    let text = "xyz".repeat(900_000) + "\nshort\n";
    rig.write("a.log", utf16(&text, u16::to_le_bytes));
    rig.settle();
    rig.check(&[&text]);
    let pieces: Vec<_> = rig.rows().iter().map(|row| row.piece).collect();
    assert_eq!(pieces, [Some((0, false)), Some((1, false)), Some((2, true)), None]);
}

fn redacting(options: &mut crate::Options) {
    let rule = |pattern: &str, mask: &str| Redaction { pattern: pattern.into(), mask: mask.into() };
    options.inputs[0].redact = vec![rule(r"(password=)\S+", "${1}***"), rule(r"\b[0-9]{16}\b", "[card]")];
}

#[test]
fn what_is_masked_does_not_leave_the_host() {
    let mut rig = Rig::with(redacting);
    rig.write("a.log", "login password=hunter2 ok\r\ncard 4111111111111111\nplain\n");
    rig.settle();
    rig.restart();
    rig.write("a.log", "password=x\n");
    rig.settle();
    rig.check(&["login password=*** ok\r\ncard [card]\nplain\npassword=***\n"]);
    let position = &rig.positions()[0];
    assert_eq!((position.byte, position.text), (66, Some(54)));
    assert_eq!(rig.forwarder.progress().behind_bytes, 0);
}

#[test]
fn a_secret_is_masked_wherever_a_long_line_is_cut() {
    for at in 85..105 {
        let mut rig = Rig::with(|options| {
            redacting(options);
            options.limits.max_line_bytes = 100;
        });
        let line = format!("{} password=hunter2hunter2 {}", "x".repeat(at - 10), "y".repeat(5_000));
        // The second half of the secret is not there yet when the first one is read.
        rig.write("a.log", &line[..at + 6]);
        rig.settle();
        rig.write("a.log", format!("{}\nnext\n", &line[at + 6..]));
        rig.settle();
        let expected = line.replace("hunter2hunter2", "***") + "\nnext\n";
        rig.check(&[&expected]);
    }
}

#[test]
fn rules_may_be_added_to_a_file_that_was_begun_without() {
    let mut rig = Rig::new();
    rig.write("a.log", "password=a\n");
    rig.settle();
    redacting(&mut rig.options);
    rig.restart();
    rig.write("a.log", "password=b\n");
    rig.settle();
    rig.options.inputs[0].redact.clear();
    rig.restart();
    rig.write("a.log", "password=c\n");
    rig.settle();
    rig.check(&["password=a\npassword=***\npassword=c\n"]);
}

#[test]
fn a_large_file_does_not_keep_the_others_waiting() {
    let mut rig = Rig::with(|options| options.limits.max_open_files = 64);
    rig.write("0.log", "a line of the large file\n".repeat(400_000));
    for i in 1..=1_000 {
        rig.write(&format!("{i:04}.log"), format!("only line of {i}\n"));
    }
    rig.settle();
    let rows = rig.rows();
    assert_eq!(rows.len(), 401_000);
    let last = rows.iter().rposition(|row| row.bytes.starts_with(b"only")).unwrap();
    // One quantum of the large file, and what a batch holds.
    assert!(last < (Limits::USUAL.quantum_bytes / 25 + 2_000).max(60_000), "{last}");
}
