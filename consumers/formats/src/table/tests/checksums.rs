//! Damage is an error, wherever it is: never other rows.

use super::*;

/// Reads all columns of all rows.
fn read(file: &Bytes) -> Result<(), TableError> {
    let reader = TableReader::open(file.clone(), file.len() as u64)?;
    for group in reader.groups() {
        for batch in reader.whole(group)? {
            batch?;
        }
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let lines = ["GET /a 200", "GET /b 404", "POST /c 500"].map(str::as_bytes);
    let events: Vec<_> =
        (0i64..).zip(lines).map(|(n, line)| event(raw("b", Some("f"), Some(n * 20), line), n)).collect();
    let whole = file(&events);
    read(&whole).unwrap();
    // Before it is only the mark of a Parquet file.
    for at in b"PAR1".len()..whole.len() {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1 << (at % 8);
        assert!(read(&flipped.into()).is_err(), "byte {at} of {}", whole.len());
    }
}

#[test]
fn a_merge_names_the_file_that_is_damaged() {
    let part = |host| file(&[event(raw(host, Some("f"), Some(0), b"a line"), 0)]);
    let mut damaged = part("b").to_vec();
    damaged[20] ^= 4;
    let inputs = [open(part("a")), open(damaged.into()), open(part("c"))];
    let mut out = b"what was there before".to_vec();
    let error = merge(TableName::Events, &inputs, Effort::Small, &mut out).unwrap_err();
    assert!(matches!(error, TableError::Input(1, _)), "{error}");
}

#[test]
fn a_file_behind_others_has_checksums_of_its_own() {
    let mut bundle = b"what was there before".to_vec();
    let from = bundle.len();
    let mut builder = TableBuilder::new(TableName::Events);
    builder.push_event(&event(raw("a", None, None, b"x"), 0)).unwrap();
    builder.finish(Effort::Fast, &mut bundle).unwrap();
    let file = Bytes::from(bundle).slice(from..);
    assert!(open(file.clone()).has_checksums());
    read(&file).unwrap();
}
