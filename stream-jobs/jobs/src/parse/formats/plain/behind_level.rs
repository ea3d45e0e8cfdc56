//! What programs write between the level and the message, or where there is no level.

use std::borrow::Cow;

use super::super::level::level;
use super::{Head, LONGEST, MOST_PIECES, blank, is_number};
use crate::parse::time::Clock;

impl<'t> Head<'t> {
    /// Threads, loggers and codes behind the level, where a sign says that the message comes behind them.
    pub(super) fn behind_level(&mut self) {
        if self.tight && self.tight_name() || self.marked && !self.at.rest().starts_with(" -- ") {
            return;
        }
        let mut ahead = self.clone();
        ahead.at.run(blank);
        if ahead.process_of_erlang() {
            *self = ahead;
            return;
        }
        if ahead.spring() || ahead.codes() || ahead.in_tabs() || ahead.named() {
            *self = ahead;
        } else {
            self.at.run(blank);
            if self.at.rest().starts_with("- ") || self.at.rest().starts_with("| ") {
                self.at.at += 2;
            } else if self.at.peek() == Some(b'|') {
                self.at.at += 1;
            }
        }
    }

    /// `[INFO ][o.e.n.Node    ] `
    fn tight_name(&mut self) -> bool {
        let mut ahead = self.at;
        ahead.skip("[");
        let name = ahead.run_any(|byte| byte != b']' && byte != b'\n');
        if name.len() > LONGEST || !ahead.skip("]") {
            return false;
        }
        self.text("logger", name.trim());
        self.at = ahead;
        true
    }

    /// `INFO 12345 --- [app] [main] a.b.C  : message` of Spring Boot.
    fn spring(&mut self) -> bool {
        let pid = self.at.run(|byte| byte.is_ascii_digit());
        self.at.run(blank);
        if pid.is_empty() || !self.at.skip("--- ") {
            return false;
        }
        self.long("pid", pid);
        let mut inner: Vec<&'t str> = Vec::new();
        while inner.len() < MOST_PIECES && self.at.skip("[") {
            inner.push(self.at.run_any(|byte| byte != b']' && byte != b'\n').trim());
            self.at.skip("]");
            self.at.run(blank);
        }
        if let Some((thread, others)) = inner.split_last() {
            for (name, own) in ["application", "trace"].into_iter().zip(others) {
                self.text(name, own);
            }
            self.text("thread", thread);
        }
        let mut ahead = self.at;
        let name = ahead.run(|byte| byte.is_ascii_graphic());
        ahead.run(blank);
        if ahead.skip(":") {
            self.text("logger", name);
            self.at = ahead;
        }
        true
    }

    /// `<0.229.0> `
    fn process_of_erlang(&mut self) -> bool {
        if !self.at.skip("<") {
            return false;
        }
        let process = self.at.run(|byte| byte.is_ascii_digit() || byte == b'.');
        if process.matches('.').count() != 2 || !self.at.skip("> ") {
            return false;
        }
        self.text("process", process);
        true
    }

    /// `[MY-010116] [Server] ` of MySQL.
    fn codes(&mut self) -> bool {
        let mut ahead = self.at;
        if !ahead.skip("[MY-") {
            return false;
        }
        let code = ahead.run(|byte| byte.is_ascii_digit());
        if !ahead.skip("] [") {
            return false;
        }
        let part = ahead.run(|byte| byte.is_ascii_alphanumeric());
        if part.is_empty() || !ahead.skip("]") {
            return false;
        }
        let start = self.at.at + 1;
        self.text("code", &ahead.text[start..start + 3 + code.len()]);
        self.text("component", part);
        self.at = ahead;
        true
    }

    /// `\tlogger\tfile.go:12\tmessage`, the logger perhaps missing.
    fn in_tabs(&mut self) -> bool {
        if self.at.at == 0 || self.at.text.as_bytes()[self.at.at - 1] != b'\t' {
            return false;
        }
        let mut ahead = self.at;
        for is_first in [true, false] {
            let word = ahead.until(b'\t');
            if word.len() > LONGEST || word.contains(' ') || ahead.peek().is_none() {
                return false;
            }
            ahead.at += 1;
            if self.place(word) {
                self.at = ahead;
                return true;
            }
            if is_first && word.ends_with(':') {
                return false;
            }
            if is_first {
                self.text("logger", word);
            }
        }
        false
    }

    /// `file.go:12`
    fn place(&mut self, word: &'t str) -> bool {
        let Some((file, line)) =
            word.rsplit_once(':').filter(|(file, line)| is_number(line) && file.contains('.'))
        else {
            return false;
        };
        self.text("file", file);
        self.long("line", line);
        true
    }

    /// `[thread] a.b.C - message`, `a.b.C: message`, `-- name: message`, `|name|message`.
    fn named(&mut self) -> bool {
        let ruby = self.at.skip("-- ");
        if self.at.skip("|") {
            let name = self.at.until(b'|');
            let is_name =
                !name.is_empty() && name.len() <= LONGEST && !name.contains(' ') && self.at.skip("|");
            if is_name {
                self.text("logger", name);
            }
            return is_name;
        }
        let mut thread = None;
        if self.at.skip("[") {
            thread = Some(self.at.run_any(|byte| byte != b']' && byte != b'\n').trim());
            if !self.at.skip("]") {
                return false;
            }
            self.at.run(blank);
        }
        let short = thread.is_none_or(|thread| thread.len() <= LONGEST);
        let mut ahead = self.at;
        let word = ahead.run(|byte| byte.is_ascii_graphic());
        let name = word.strip_suffix(':').unwrap_or(word);
        let colon = name.len() < word.len() || ahead.skip(" :");
        ahead.run(blank);
        let dash = ahead.skip("- ");
        let begins = name.starts_with(|own: char| own.is_ascii_alphabetic() || own == '_');
        let dotted = name.contains("::") || name.contains('$') || name.matches('.').count() > 1;
        let qualified = dotted || name.contains('.') || is_camel(name);
        if !short {
            return false;
        }
        if word == "-" {
            // `[thread] - message`
            self.at = ahead;
        } else if word != ":" && !begins {
            return false;
        } else if dash || colon && (ruby || qualified) || thread.is_some() && dotted && !colon {
            if !self.place(name) && !name.is_empty() {
                self.text("logger", name);
            }
            self.at = ahead;
        } else {
            return false;
        }
        if let Some(thread) = thread.filter(|thread| !thread.is_empty()) {
            // What was taken for one before the level is something else, then.
            if let Some((own, _)) = self.found.fields.0.iter_mut().find(|(own, _)| own == "thread") {
                *own = Cow::Borrowed("context");
            }
            self.text("thread", thread);
        }
        true
    }

    /// `INFO  [main] 2020-05-18 14:38:34,123 a.java:12 - message`: the time behind the level.
    pub(super) fn time_behind_level(&mut self, clock: Clock<'_>) {
        let mut ahead = self.clone();
        ahead.at.run(blank);
        let mut thread = None;
        if ahead.at.skip("[") {
            thread = Some(ahead.at.run_any(|byte| byte != b']' && byte != b'\n').trim());
            if !ahead.at.skip("] ") {
                return;
            }
            ahead.at.run(blank);
        }
        if ahead.time(clock) && ahead.found.time.is_some() {
            if let Some(thread) = thread.filter(|thread| thread.len() <= LONGEST) {
                ahead.text("thread", thread);
            }
            *self = ahead;
        }
    }

    /// Without a level in this line: that of PHP's errors, the place that Go writes, and `May 18, 2020 2:38:34 PM a.b.C run` with `INFO: message` in the line below.
    pub(super) fn without_level(&mut self) {
        let mut ahead = self.at;
        ahead.run(blank);
        if let Some(words) = ahead.rest().strip_prefix("PHP ") {
            // `PHP Fatal error:  message`: what is said stays whole.
            let kind = words.split(':').next().unwrap_or_default();
            let found = (kind.len() < 24).then(|| kind.split(' ').find_map(level)).flatten();
            if let Some(own) = found {
                self.take(own.name);
            }
            return;
        }
        let word = ahead.run(|byte| byte.is_ascii_graphic());
        if ahead.skip(" ") && word.strip_suffix(':').is_some_and(|own| self.place(own)) {
            self.at = ahead;
            return;
        }
        let rest = self.at.rest();
        let Some((name, next)) = rest.split_once('\n') else { return };
        let Some((word, _)) = next.split_once(": ").filter(|(word, _)| word.len() < 16) else { return };
        let (Some(own), true) = (level(word), name.len() <= LONGEST) else { return };
        self.take(own.name);
        self.text("logger", name.trim());
        self.at.at += name.len() + 1 + word.len() + 1;
    }
}

/// `SparkContext`, but not `RuntimeError`, which belongs to a message.
fn is_camel(name: &str) -> bool {
    let capitals = name.bytes().filter(u8::is_ascii_uppercase).count();
    let small = name.bytes().any(|byte| byte.is_ascii_lowercase());
    let failure = name.ends_with("Error") || name.ends_with("Exception");
    capitals > 1 && small && !failure && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
