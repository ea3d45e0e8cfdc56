use millrace_schemas::LineEnd;

use super::{LINE_END_MAX, cut};

/// Cuts `text` with a limit of 4 bytes: `|` follows each cut, `~n` marks piece n, `~n.` the last one, `?` what is held.
#[track_caller]
fn check(text: &str, flush: bool, expected: &str) {
    let (mut rest, mut piece, mut shown, mut rebuilt) = (text.as_bytes(), 0, String::new(), Vec::new());
    while let Some(found) = cut(rest, piece, (4, LINE_END_MAX), flush) {
        let taken = &rest[..found.len()];
        rebuilt.extend_from_slice(&taken[..found.body]);
        rebuilt.extend_from_slice(found.end.bytes());
        let name = [(LineEnd::None, ""), (LineEnd::Lf, "n"), (LineEnd::CrLf, "rn")];
        shown.push_str(&String::from_utf8_lossy(&taken[..found.body]).escape_debug().to_string());
        shown.push_str(name.iter().find(|(end, _)| *end == found.end).map_or("", |(_, name)| name));
        if let Some(piece) = found.piece {
            shown.push_str(&format!("~{}{}", piece.index, if piece.last { "." } else { "" }));
        }
        shown.push('|');
        piece = found.piece.map_or(0, |piece| if piece.last { 0 } else { piece.index + 1 });
        rest = &rest[found.len()..];
    }
    rebuilt.extend_from_slice(rest);
    if !rest.is_empty() {
        shown.push_str(&format!("{}?", String::from_utf8_lossy(rest).escape_debug()));
    }
    assert_eq!(shown, expected);
    assert_eq!(rebuilt, text.as_bytes());
}

#[test]
fn lines_end_at_lf_and_crlf() {
    check("A\nB\r\n\nC\n", false, "An|Brn|n|Cn|");
}

#[test]
fn the_rest_is_held_until_it_is_flushed() {
    check("A\nB", false, "An|B?");
    check("A\nB", true, "An|B|");
    check("", true, "");
}

#[test]
fn a_lone_cr_and_a_nul_belong_to_the_body() {
    check("A\rB\n\0\n", false, "A\\rBn|\\0n|");
    check("A\r", true, "A\\r|");
}

#[test]
fn a_line_at_the_limit_is_whole() {
    check("ABCD\nE\n", false, "ABCDn|En|");
    check("ABCD\r\n", false, "ABCDrn|");
    check("ABCD\r", false, "ABCD\\r?");
}

#[test]
fn a_line_over_the_limit_travels_in_pieces() {
    check("ABCDE\n", false, "ABCD~0|En~1.|");
    check("ABCDEFGHIJ\nK\n", false, "ABCD~0|EFGH~1|IJn~2.|Kn|");
    check("ABCDEFGH\n", false, "ABCD~0|EFGHn~1.|");
    check("ABCDEF", true, "ABCD~0|EF~1.|");
    check("ABCDE", true, "ABCD~0|E~1.|");
}

#[test]
fn a_cut_does_not_part_cr_from_lf() {
    check("ABC\r\n", false, "ABCrn|");
    check("ABCDEFG\r\n", false, "ABCD~0|EFGrn~1.|");
    check("ABCDEFGH\r\n", false, "ABCD~0|EFGHrn~1.|");
    check("ABC\rDE\n", false, "ABC\\r~0|DEn~1.|");
}
