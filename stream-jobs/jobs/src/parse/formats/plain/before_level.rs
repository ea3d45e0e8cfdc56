//! What programs write between the time and the level, and the level.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::super::level::{letter, level};
use super::{Head, LONGEST, MOST_PIECES, blank, is_number};

impl<'t> Head<'t> {
    /// Goes on to the level and steps over it. False where something else than pieces of a head stands before it.
    pub(super) fn level(&mut self, timed: bool) -> bool {
        for number in 0..MOST_PIECES {
            if number > 0 && self.paired && self.at.skip(" | ") {
                return true;
            }
            while matches!(self.at.peek(), Some(b' ' | b'\t' | b'|' | b'-' | b',')) {
                self.at.at += 1;
            }
            let first = !timed && number == 0;
            if !timed && number > 0 {
                return false;
            }
            let go_on = match self.at.peek() {
                Some(b'[') => self.bracketed(b']', first),
                Some(b'<') => self.bracketed(b'>', first),
                Some(b'{') if !first => self.bracketed(b'}', first),
                Some(_) => self.word(first),
                None => false,
            };
            if !go_on {
                return false;
            }
            if self.found.severity.is_some() {
                return true;
            }
        }
        false
    }

    pub(super) fn take(&mut self, name: &'static str) {
        self.found.severity = Some(Cow::Borrowed(name));
    }

    /// `[INFO ]`, `[123]`, `[main]`, `<Error>`, `<0.1.2>`, `{id}`.
    fn bracketed(&mut self, close: u8, first: bool) -> bool {
        let mut ahead = self.at;
        let open = ahead.peek();
        ahead.at += 1;
        let inner = ahead.run_any(|byte| byte != close && byte != b'\n');
        if inner.len() > LONGEST || ahead.peek() != Some(close) {
            return false;
        }
        ahead.at += 1;
        let word = inner.trim();
        if let Some(own) = level(word) {
            self.take(own.name);
            self.tight = open == Some(b'[') && ahead.peek() == Some(b'[');
            self.marked = ahead.skip(":");
            // MySQL numbers its threads.
            if let Some((name, _)) = self.found.fields.0.last_mut().filter(|_| self.numbered) {
                *name = Cow::Borrowed("thread");
            }
            self.at = ahead;
            return true;
        }
        if first {
            return false;
        }
        // `[Server thread/INFO]: `
        if let Some((name, own)) = word.rsplit_once('/').and_then(|(name, own)| Some((name, level(own)?))) {
            self.take(own.name);
            self.text("thread", name);
            self.marked = ahead.skip(":");
            self.at = ahead;
            return true;
        }
        let number = word.trim_start_matches("pid").trim_start_matches([':', ' ', '#'] as [char; 3]);
        let number =
            number.split_once('-').map_or(number, |(pid, line)| if is_number(line) { pid } else { number });
        match open {
            Some(b'<') if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                self.text("process", word);
            }
            Some(b'<') => return false,
            Some(b'{') => self.text("context", word),
            _ if is_number(number) && !self.has("pid") => self.long("pid", number),
            _ if word.is_empty() => {}
            _ if !self.has("thread") => self.text("thread", word),
            _ => self.text("logger", word),
        }
        ahead.skip(":");
        self.at = ahead;
        true
    }

    /// A word before the level, or the level itself.
    fn word(&mut self, first: bool) -> bool {
        let mut ahead = self.at;
        let word = ahead.run(|byte| byte.is_ascii_graphic() && byte != b'|');
        if word.is_empty() || word.len() > LONGEST {
            return false;
        }
        if self.as_level(word, first) {
            return true;
        }
        let next = ahead.rest();
        if first {
            return false;
        }
        if is_number(word) {
            let name = if self.has("pid") { "tid" } else { "pid" };
            self.long(name, word);
            self.numbered = true;
            self.at = ahead;
            return true;
        }
        self.numbered = false;
        self.paired = self.pairs(word);
        if self.paired {
            self.at = ahead;
            return true;
        }
        if let Some((user, database)) = word.split_once('@').filter(|_| self.has("pid")) {
            self.found.user = Some(Cow::Borrowed(user)).filter(|user| !user.is_empty());
            self.text("database", database);
            self.at = ahead;
            return true;
        }
        // `logger: `, `logger - `, `logger | `, `logger [12]`
        let name = word.strip_suffix(':').unwrap_or(word);
        let behind = next.trim_start_matches(' ');
        let number =
            behind.strip_prefix('[').is_some_and(|rest| rest.starts_with(|own: char| own.is_ascii_digit()));
        let apart = name.len() < word.len() || behind.starts_with("- ") || behind.starts_with('|') || number;
        if !apart || self.has("logger") || name.is_empty() {
            return false;
        }
        self.text("logger", name);
        self.at = ahead;
        true
    }

    /// `INFO`, `info:`, `INFO:root:`, `app.INFO:`, `file.py[DEBUG]:`, `I` before a component in capitals.
    fn as_level(&mut self, word: &'t str, first: bool) -> bool {
        let capitals = |own: &str| own.bytes().all(|byte| byte.is_ascii_uppercase());
        let (own, sign) = word.split_at(word.find([':', ',']).unwrap_or(word.len()));
        let piped = self.at.text.as_bytes().get(self.at.at + word.len()) == Some(&b'|');
        if let Some(found) = level(own) {
            let bare = found.plain && capitals(own) && sign.is_empty();
            let before_bracket = sign.is_empty() && capitals(own) && {
                let behind = &self.at.rest()[own.len()..];
                behind.starts_with(' ') && behind.trim_start_matches(' ').starts_with('[')
            };
            // With no time before it, a word in small letters needs a colon and a blank.
            let colon = sign == ":" || sign.starts_with(':') && capitals(own);
            // A column of its own.
            let padded =
                sign.is_empty() && found.plain && !first && self.at.rest()[own.len()..].starts_with("  ");
            if bare || colon || before_bracket || padded || piped && !first {
                self.take(found.name);
                self.marked = !sign.is_empty();
                self.at.at += own.len() + usize::from(!sign.is_empty());
                // `INFO:root:message`
                if sign.len() > 1
                    && let Some((name, _)) = sign[1..].split_once(':').filter(|(name, _)| !name.is_empty())
                {
                    self.text("logger", name);
                    self.at.at += name.len() + 1;
                }
                return true;
            }
        }
        if first {
            return false;
        }
        let inner = word.strip_suffix(':').unwrap_or(word);
        let parts = match inner.strip_suffix(']').and_then(|own| own.rsplit_once('[')) {
            Some(parts) => Some(parts),
            None => inner.rsplit_once('.').filter(|_| inner.len() < word.len()),
        };
        if let Some((name, found)) =
            parts.and_then(|(name, own)| Some((name, level(own).filter(|_| capitals(own))?)))
        {
            self.text("logger", name);
            self.take(found.name);
            self.marked = true;
            self.at.at += word.len();
            return true;
        }
        let behind = self.at.rest().get(word.len()..).unwrap_or_default().trim_start_matches(' ');
        let component = behind.split(' ').next().unwrap_or_default();
        let named = component == "-" || component.len() > 2 && capitals(component) || self.has("tid");
        if let [own] = word.as_bytes()
            && let Some(name) = letter(*own).filter(|_| named)
        {
            self.take(name);
            self.at.at += 1;
            if component.len() > 1 {
                self.at.run(blank);
                self.text("component", component.trim_end_matches(':'));
                self.at.at += component.len();
            }
            self.marked = true;
            return true;
        }
        false
    }

    /// `p=1`, `user=al,db=shop`: fields.
    fn pairs(&mut self, word: &'t str) -> bool {
        let is_pair = |pair: &str| {
            let name = pair.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let word = word.trim_end_matches(',');
        if !word.split(',').all(is_pair) {
            return false;
        }
        for (name, value) in word.split(',').filter_map(|pair| pair.split_once('=')) {
            match name {
                _ if value.is_empty() => {}
                "user" => self.found.user = Some(Cow::Borrowed(value)),
                "pid" if is_number(value) => self.long("pid", value),
                _ => self.put(name, Value::String(Cow::Borrowed(value))),
            }
        }
        true
    }
}
