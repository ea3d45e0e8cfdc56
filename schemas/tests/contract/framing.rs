use millrace_schemas::codec::{FRAME_LEN, unframe};
use millrace_schemas::progress::Progress;
use millrace_schemas::{Codec, CodecError, Subject};

fn progress() -> Progress {
    Progress { topic: "logs.raw".into(), partition: 1, next: 2, version: 3 }
}

fn codec(id: u32) -> Codec {
    Codec::new("millrace.parse.state-value", id, Subject::Progress.schema()).unwrap()
}

fn framed(id: u32) -> Vec<u8> {
    let mut value = Vec::new();
    codec(id).encode(&progress(), &mut value).unwrap();
    value
}

#[test]
fn frame_is_magic_byte_and_id_big_endian() {
    let value = framed(0x0102_0304);
    assert_eq!(value[..FRAME_LEN], [0, 1, 2, 3, 4]);
    assert_eq!(unframe(&value).unwrap(), (0x0102_0304, &value[FRAME_LEN..]));
    assert_eq!(unframe(&[0, 0, 0, 0, 7]).unwrap(), (7, [].as_slice()));
}

#[test]
fn what_has_no_frame_is_refused() {
    for value in [&[][..], &[0], &[0, 0, 0, 0], &[1, 0, 0, 0, 7, 1], b"{\"topic\":1}"] {
        assert!(
            matches!(unframe(value), Err(CodecError::NotFramed { len }) if len == value.len()),
            "{value:?}"
        );
        assert!(matches!(codec(7).decode::<Progress>(value), Err(CodecError::NotFramed { .. })), "{value:?}");
    }
}

#[test]
fn unknown_id_can_be_learned() {
    let value = framed(8);
    let mut codec = codec(7);
    assert!(!codec.knows(8));
    assert!(matches!(codec.decode::<Progress>(&value), Err(CodecError::UnknownSchema { id: 8 })));
    codec.learn(8, Subject::Progress.schema()).unwrap();
    assert_eq!(codec.decode::<Progress>(&value).unwrap(), progress());
    assert!(codec.knows(8) && codec.id() == 7);
}

#[test]
fn text_that_is_no_schema_is_refused() {
    assert!(matches!(codec(7).learn(9, "{"), Err(CodecError::BadSchema { .. })));
    assert!(matches!(Codec::new("x", 1, "\"nothing\""), Err(CodecError::BadSchema { .. })));
}

#[test]
fn every_cut_of_a_datum_is_an_error_and_none_panics() {
    let value = framed(7);
    for len in FRAME_LEN..value.len() {
        assert!(
            matches!(codec(7).decode::<Progress>(&value[..len]), Err(CodecError::Decode { id: 7, .. })),
            "{len}"
        );
    }
}

#[test]
fn writer_with_fields_in_another_order_is_read_by_name() {
    let older = r#"{"type": "record", "name": "Progress", "namespace": "millrace", "fields": [
        {"name": "version", "type": "int"}, {"name": "next", "type": "long"}, {"name": "extra", "type": ["null", "string"]},
        {"name": "partition", "type": "int"}, {"name": "topic", "type": "string"}]}"#;
    let mut codec = codec(7);
    codec.learn(8, older).unwrap();
    let datum = [&[0, 0, 0, 0, 8, 6, 4, 2, 2, b'x', 2, 16][..], b"logs.raw"].concat();
    assert_eq!(codec.decode::<Progress>(&datum).unwrap(), progress());
}
