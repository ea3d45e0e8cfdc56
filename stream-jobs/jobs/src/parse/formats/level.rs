//! Words by which programs say how severe a line is.

/// A level, and how sure it is that its word means one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// Lower case; what is cut to three or four letters is written out.
    pub(crate) name: &'static str,
    /// Whether the word alone, in capitals, is enough. The others need brackets or a colon.
    pub(crate) plain: bool,
}

const PLAIN: [(&str, &str); 26] = [
    ("TRACE", "trace"),
    ("DEBUG", "debug"),
    ("INFO", "info"),
    ("NOTICE", "notice"),
    ("WARN", "warn"),
    ("WARNING", "warning"),
    ("ERROR", "error"),
    ("CRITICAL", "critical"),
    ("FATAL", "fatal"),
    ("SEVERE", "severe"),
    ("EMERG", "emerg"),
    ("EMERGENCY", "emergency"),
    ("ALERT", "alert"),
    ("CRIT", "crit"),
    ("ERR", "err"),
    ("TRC", "trace"),
    ("VRB", "verbose"),
    ("DBG", "debug"),
    ("INF", "info"),
    ("WRN", "warn"),
    ("FTL", "fatal"),
    ("PNC", "panic"),
    ("FINER", "finer"),
    ("FINEST", "finest"),
    ("VERBOSE", "verbose"),
    ("INFORMATION", "information"),
];

const MARKED: [(&str, &str); 14] = [
    ("FINE", "fine"),
    ("CONFIG", "config"),
    ("LOG", "log"),
    ("PANIC", "panic"),
    ("DETAIL", "detail"),
    ("HINT", "hint"),
    ("STATEMENT", "statement"),
    ("CONTEXT", "context"),
    ("NOTE", "note"),
    ("SYSTEM", "system"),
    ("FAIL", "error"),
    ("DBUG", "debug"),
    ("TRCE", "trace"),
    ("INFORMATIONAL", "informational"),
];

/// The level that a word is, in any case of letters.
pub(crate) fn level(word: &str) -> Option<Level> {
    const LONGEST: usize = 13;
    if !(3..=LONGEST).contains(&word.len()) {
        return None;
    }
    let of = |list: &[(&str, &'static str)]| {
        list.iter().find(|(own, _)| own.eq_ignore_ascii_case(word)).map(|(_, name)| *name)
    };
    let plain = of(&PLAIN).map(|name| Level { name, plain: true });
    plain.or_else(|| of(&MARKED).map(|name| Level { name, plain: false }))
}

/// The level that a letter stands for, as Google's, Android's and MongoDB's logs have it.
pub(crate) fn letter(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'V' => "verbose",
        b'D' => "debug",
        b'I' => "info",
        b'W' => "warning",
        b'E' => "error",
        b'F' => "fatal",
        _ => return None,
    })
}
