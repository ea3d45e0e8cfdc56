//! Sets of characters: what stands in brackets, and escapes that are sets.

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

use super::syntax::{Dialect, Reader, SyntaxError};
use super::tree::{negated, set};

/// Brackets nested deeper are refused.
const MAX_DEPTH: usize = 20;

/// The set after a `[`, and whether it is to be negated; letters without case are added before that.
pub(super) fn named_set(reader: &mut Reader<'_>, depth: usize) -> Result<(ClassUnicode, bool), SyntaxError> {
    if depth > MAX_DEPTH {
        return Err(reader.fault(format!("brackets are nested deeper than {MAX_DEPTH}")));
    }
    let negative = reader.skip("^");
    let mut all: Option<ClassUnicode> = None;
    let mut own = set([]);
    let mut first = true;
    loop {
        if reader.dialect == Dialect::Oniguruma && reader.skip("&&") {
            meet(&mut all, std::mem::replace(&mut own, set([])));
            first = false;
            continue;
        }
        let Some(next) = reader.peek() else { return Err(reader.fault("no ] follows")) };
        if next == ']' && !first {
            reader.at += 1;
            break;
        }
        first = false;
        let from = member(reader, depth)?;
        let Member::Char(low) = from else {
            own.union(&from.set());
            continue;
        };
        // A `-` before `]` is one of the characters.
        let rest = &reader.text[reader.at..];
        if !rest.starts_with('-') || rest.starts_with("-]") || rest.starts_with("-&&") {
            own.union(&set([(low, low)]));
            continue;
        }
        reader.at += 1;
        match member(reader, depth)? {
            Member::Char(high) if low <= high => own.union(&set([(low, high)])),
            Member::Char(high) => return Err(reader.fault(format!("the range {low}-{high} is upside down"))),
            // `[\w-\d]`, `[a-\d]`: all three.
            Member::Set(more) => {
                own.union(&set([(low, low), ('-', '-')]));
                own.union(&more);
            }
        }
    }
    meet(&mut all, own);
    Ok((all.unwrap_or_else(|| set([])), negative))
}

fn meet(all: &mut Option<ClassUnicode>, own: ClassUnicode) {
    match all {
        Some(all) => all.intersect(&own),
        None => *all = Some(own),
    }
}

enum Member {
    Char(char),
    Set(ClassUnicode),
}

impl Member {
    fn set(self) -> ClassUnicode {
        match self {
            Member::Char(own) => set([(own, own)]),
            Member::Set(own) => own,
        }
    }
}

fn member(reader: &mut Reader<'_>, depth: usize) -> Result<Member, SyntaxError> {
    match reader.next() {
        None => Err(reader.fault("no ] follows")),
        Some('[') => {
            if reader.text[reader.at..].starts_with(':') && reader.text[reader.at..].contains(":]") {
                return posix(reader).map(Member::Set);
            }
            // Perl's brackets do not nest.
            if reader.dialect == Dialect::Perl {
                return Ok(Member::Char('['));
            }
            let (inner, negative) = named_set(reader, depth + 1)?;
            Ok(Member::Set(if negative { negated(inner) } else { inner }))
        }
        Some('\\') => {
            if reader.skip("b") {
                return Ok(Member::Char('\u{8}'));
            }
            let found = posix_or_escape(reader)?;
            Ok(match found.ranges() {
                [one] if one.start() == one.end() => Member::Char(one.start()),
                _ => Member::Set(found),
            })
        }
        Some(own) => Ok(Member::Char(own)),
    }
}

/// After `[`: `:alpha:]`, `:^alpha:]`.
fn posix(reader: &mut Reader<'_>) -> Result<ClassUnicode, SyntaxError> {
    reader.at += 1;
    let negative = reader.skip("^");
    let name = reader.until(':')?;
    if !reader.skip("]") {
        return Err(reader.fault("no :] follows"));
    }
    let found = match name {
        "alnum" => property(reader, r"[\p{L}\p{M}\p{Nd}]")?,
        "alpha" => property(reader, r"[\p{L}\p{M}]")?,
        "ascii" => set([('\0', '\x7f')]),
        "blank" => property(reader, r"[\p{Zs}\t]")?,
        "cntrl" => property(reader, r"\p{Cc}")?,
        "digit" => property(reader, r"\p{Nd}")?,
        "graph" => property(reader, r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]")?,
        "lower" => property(reader, r"\p{Lower}")?,
        "print" => property(reader, r"[^\p{Cc}\p{Cn}\p{Cs}]")?,
        "punct" => property(reader, r"[\p{P}$+<=>^`|~]")?,
        "space" => property(reader, r"\s")?,
        "upper" => property(reader, r"\p{Upper}")?,
        "word" => property(reader, r"\w")?,
        "xdigit" => set([('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return Err(reader.fault(format!("[:{name}:] is not known"))),
    };
    Ok(if negative { negated(found) } else { found })
}

/// After a backslash: a set, or a character that is written with one.
pub(super) fn posix_or_escape(reader: &mut Reader<'_>) -> Result<ClassUnicode, SyntaxError> {
    let Some(next) = reader.next() else { return Err(reader.fault("a backslash at the end")) };
    let one = |own: char| Ok(set([(own, own)]));
    match next {
        'd' => property(reader, r"\d"),
        'D' => property(reader, r"\D"),
        'w' => property(reader, r"\w"),
        'W' => property(reader, r"\W"),
        's' => property(reader, r"\s"),
        'S' => property(reader, r"\S"),
        'h' | 'H' => {
            let found = match reader.dialect {
                Dialect::Oniguruma => set([('0', '9'), ('A', 'F'), ('a', 'f')]),
                Dialect::Perl => property(reader, r"[\p{Zs}\t]")?,
            };
            Ok(if next == 'H' { negated(found) } else { found })
        }
        'p' | 'P' => {
            let name = if reader.skip("{") {
                reader.until('}')?
            } else {
                let start = reader.at;
                reader.next();
                &reader.text[start..reader.at]
            };
            let (name, inverse) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
            let found = property(reader, &format!(r"\p{{{name}}}"))?;
            Ok(if inverse != (next == 'P') { negated(found) } else { found })
        }
        't' => one('\t'),
        'n' => one('\n'),
        'r' => one('\r'),
        'f' => one('\x0c'),
        'v' => one('\x0b'),
        'a' => one('\x07'),
        'e' => one('\x1b'),
        'x' => code(reader, 2).and_then(one),
        'u' => code(reader, 4).and_then(one),
        '0' => {
            let rest = &reader.text[reader.at..];
            let len = rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let code = u32::from_str_radix(&rest[..len], 8).unwrap_or(0);
            reader.at += len;
            one(char::from_u32(code).unwrap_or('\0'))
        }
        own if own.is_ascii_alphanumeric() && reader.dialect == Dialect::Perl => {
            Err(reader.fault(format!("\\{own} is not known")))
        }
        // Oniguruma takes it for the letter.
        own => one(own),
    }
}

/// `HH` or `{H…}`.
fn code(reader: &mut Reader<'_>, n_digits: usize) -> Result<char, SyntaxError> {
    let digits = if reader.skip("{") {
        reader.until('}')?
    } else {
        let rest = &reader.text[reader.at..];
        let len = rest.bytes().take(n_digits).take_while(u8::is_ascii_hexdigit).count();
        reader.at += len;
        &rest[..len]
    };
    let number = u32::from_str_radix(digits, 16).ok();
    number
        .and_then(char::from_u32)
        .ok_or_else(|| reader.fault(format!("{digits:?} is no code of a character")))
}

/// A set by its name in Unicode.
fn property(reader: &Reader<'_>, pattern: &str) -> Result<ClassUnicode, SyntaxError> {
    let read = regex_syntax::Parser::new().parse(pattern);
    match read.map(regex_syntax::hir::Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(found))) => Ok(found),
        Ok(HirKind::Literal(literal)) => {
            let text = String::from_utf8_lossy(&literal.0).into_owned();
            Ok(set(text.chars().map(|own| (own, own))))
        }
        _ => Err(reader.fault(format!("{pattern} is not known"))),
    }
}
