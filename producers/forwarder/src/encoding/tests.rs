use super::Encoding;

#[track_caller]
fn check(encoding: Encoding, bytes: &[u8], text: &str) {
    let mut out = Vec::new();
    encoding.decode(bytes, true, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), text);
    assert_eq!(encoding.source_len(&out), bytes.len());
}

fn units(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn latin_1_is_the_first_256_characters() {
    let all: Vec<u8> = (0..=255).collect();
    let text: String = all.iter().map(|byte| char::from(*byte)).collect();
    check(Encoding::Latin1, &all, &text);
}

#[test]
fn utf_16_of_both_orders_becomes_utf_8() {
    let text = "a\r\nä€\u{ffff}\u{10000}😀\n";
    check(Encoding::Utf16Le, &units(text, u16::to_le_bytes), text);
    check(Encoding::Utf16Be, &units(text, u16::to_be_bytes), text);
}

#[test]
fn half_a_character_waits_for_its_other_half() {
    let bytes = units("x😀", u16::to_le_bytes);
    for len in 2..bytes.len() {
        let mut out = Vec::new();
        Encoding::Utf16Le.decode(&bytes[..len], false, &mut out);
        assert_eq!(out, b"x", "{len}");
    }
}

#[test]
fn half_a_pair_is_kept() {
    // High surrogates alone, before a letter and at the end; a low one alone.
    for units in [&[0xd83d_u16, 0x61][..], &[0x61, 0xd83d], &[0xde00, 0x61], &[0xd83d, 0xd83d, 0xde00]] {
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let mut text = Vec::new();
        Encoding::Utf16Be.decode(&bytes, true, &mut text);
        assert_eq!(Encoding::Utf16Be.source_len(&text), bytes.len());
        let mut others = Vec::new();
        Encoding::Utf16Be.decode(&[0xd8, 0x3e, 0, 0x61], true, &mut others);
        assert_ne!(text, others, "which half it was can be told");
    }
}

#[test]
fn the_mark_tells_the_order() {
    assert_eq!(Encoding::Utf16.resolve(&[0xfe, 0xff, 0, 0x61]), Encoding::Utf16Be);
    assert_eq!(Encoding::Utf16.resolve(&[0xff, 0xfe, 0x61, 0]), Encoding::Utf16Le);
    assert_eq!(Encoding::Utf16.resolve(&[0x61, 0]), Encoding::Utf16Le);
    assert_eq!(Encoding::Utf16Be.mark(&[0xfe, 0xff]), 2);
    assert_eq!(Encoding::Utf16Be.mark(&[0xff, 0xfe]), 0);
    assert_eq!(Encoding::Latin1.mark(&[0xff, 0xfe]), 0);
}
