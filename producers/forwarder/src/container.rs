//! Files that container runtimes write: each line is wrapped, long ones are in parts, and the parts of stdout and stderr are
//! mixed. Pure, and without memory: what is handed on at once ends where no stream is within a line.

pub(crate) mod docker;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use millrace_schemas::LineEnd;

use crate::join::{Flush, Joiner};
use crate::split::cut;

/// How lines are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// As each line looks.
    Auto,
    /// `TIME STREAM P|F TEXT`, as Kubernetes' runtimes write them.
    Cri,
    /// A JSON object with `log`, `stream` and `time`, as Docker's `json-file` writes them.
    Docker,
}

impl Container {
    /// Names in a configuration.
    pub const NAMES: [(&'static str, Container); 3] =
        [("auto", Container::Auto), ("cri", Container::Cri), ("docker", Container::Docker)];
}

/// One line of a container, or several that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped {
    /// `stdout` or `stderr`; `None` for a line that is not wrapped, kept as it is.
    pub stream: Option<String>,
    /// When the runtime got its first part, as it wrote it.
    pub time: String,
    /// Without its line end.
    pub text: Vec<u8>,
    /// `None`: the last part did not come.
    pub end: LineEnd,
}

impl Unwrapped {
    /// Line ends in it, its own with them.
    pub(crate) fn line_ends(&self) -> i64 {
        memchr::memchr_iter(b'\n', &self.text).count() as i64 + i64::from(self.end != LineEnd::None)
    }
}

/// One wrapped line.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    stream: Cow<'a, str>,
    time: Cow<'a, str>,
    text: Cow<'a, [u8]>,
    last: bool,
    /// Of which runtime it is; what one began, another does not end.
    docker: bool,
}

impl Container {
    fn part<'a>(self, line: &'a [u8]) -> Option<Part<'a>> {
        match self {
            Container::Cri => cri(line),
            Container::Docker => docker::part(line),
            Container::Auto if line.first() == Some(&b'{') => docker::part(line),
            Container::Auto => cri(line),
        }
    }

    /// What `lines` (without their ends) hold, in the order in which the last parts came; a text is at most `max` bytes.
    pub fn unwrap(self, lines: &[&[u8]], max: usize) -> Vec<Unwrapped> {
        let mut parts = Parts::new(self, max);
        lines.iter().for_each(|line| parts.push(line, LineEnd::Lf));
        parts.finish()
    }
}

fn cri(line: &[u8]) -> Option<Part<'_>> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tags) = (words.next()?, words.next()?, words.next()?);
    let text = words.next().unwrap_or_default();
    let known = stream == b"stdout" || stream == b"stderr";
    let dated = time.len() >= 20 && time[0].is_ascii_digit() && time.get(10) == Some(&b'T');
    let last = match tags.split(|byte| *byte == b':').next() {
        Some(b"P") => false,
        Some(b"F") => true,
        _ => return None,
    };
    if !known || !dated {
        return None;
    }
    let (time, stream) = (String::from_utf8_lossy(time), String::from_utf8_lossy(stream));
    Some(Part { stream, time, text: text.into(), last, docker: false })
}

/// A line, and the number of the part that is its last so far.
type Numbered = (usize, Unwrapped);

/// Lines in the making, one a stream.
struct Parts {
    format: Container,
    max: usize,
    n_parts: usize,
    /// Whether what is open is Docker's.
    docker: bool,
    open: Vec<Numbered>,
    done: Vec<Numbered>,
}

impl Parts {
    fn new(format: Container, max: usize) -> Parts {
        Parts { format, max, n_parts: 0, docker: false, open: Vec::new(), done: Vec::new() }
    }

    fn push(&mut self, line: &[u8], end: LineEnd) {
        self.n_parts += 1;
        let Some(part) = self.format.part(line) else {
            // What is of no stream stands between them.
            self.close();
            let (time, text) = (String::new(), line.to_vec());
            self.done.push((self.n_parts, Unwrapped { stream: None, time, text, end }));
            return;
        };
        if part.docker != self.docker {
            self.close();
            self.docker = part.docker;
        }
        let same = |own: &Numbered| own.1.stream.as_deref() == Some(&part.stream);
        let at = self.open.iter().position(same);
        let too_long = at.is_some_and(|at| self.open[at].1.text.len() + part.text.len() > self.max);
        if let Some(at) = at.filter(|_| too_long) {
            self.done.push(self.open.remove(at));
        }
        let at = at.filter(|_| !too_long).unwrap_or_else(|| {
            let (stream, time) = (Some(part.stream.into_owned()), part.time.into_owned());
            let line = Unwrapped { stream, time, text: Vec::new(), end: LineEnd::None };
            self.open.push((self.n_parts, line));
            self.open.len() - 1
        });
        self.open[at].0 = self.n_parts;
        self.open[at].1.text.extend_from_slice(&part.text);
        if part.last {
            let (number, line) = self.open.remove(at);
            self.done.push((number, Unwrapped { end: LineEnd::Lf, ..line }));
        }
    }

    /// No more parts come.
    fn close(&mut self) {
        self.done.append(&mut self.open);
    }

    /// All lines, in the order in which their last parts came.
    fn finish(mut self) -> Vec<Unwrapped> {
        self.close();
        self.done.sort_by_key(|(number, _)| *number);
        self.done.into_iter().map(|(_, line)| line).collect()
    }
}

/// What the bytes at the front of a file hold that is handed on at once, and how many bytes that is.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) len: usize,
    pub(crate) lines: Vec<Unwrapped>,
}

/// What bounds a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_bytes: usize,
    pub(crate) margin: usize,
    pub(crate) max_lines: usize,
}

/// Cuts the group at the front of `bytes`; with a joiner, lines of a stream that follow each other are joined by it.
pub(crate) fn cut_group(
    format: Container,
    joiner: Option<&Joiner>,
    bytes: &[u8],
    bounds: Bounds,
    flush: Flush,
) -> Option<Group> {
    let mut group = cut_parts(format, bytes, bounds, flush)?;
    let (Some(joiner), [first]) = (joiner, group.lines.as_mut_slice()) else { return Some(group) };
    if first.end == LineEnd::None {
        return Some(group);
    }
    let Some(mut state) = joiner.begin(&first.text) else { return Some(group) };
    let crowded = bytes.len() >= bounds.max_bytes + bounds.margin;
    let mut n_lines = 1;
    while n_lines < bounds.max_lines {
        let Some(more) = cut_parts(format, &bytes[group.len..], bounds, flush) else {
            return (flush >= Flush::Entry || crowded).then_some(group);
        };
        let [line] = more.lines.as_slice() else { return Some(group) };
        let fits = first.text.len() + 1 + line.text.len() <= bounds.max_bytes;
        if line.stream != first.stream || !fits {
            return Some(group);
        }
        let Some((next, last)) = joiner.step(state, &line.text) else { return Some(group) };
        first.text.extend_from_slice(first.end.bytes());
        first.text.extend_from_slice(&line.text);
        first.end = line.end;
        group.len += more.len;
        n_lines += 1;
        if last || line.end == LineEnd::None {
            break;
        }
        state = next;
    }
    Some(group)
}

/// Lines up to where no stream is within one.
fn cut_parts(format: Container, bytes: &[u8], bounds: Bounds, flush: Flush) -> Option<Group> {
    let Bounds { max_bytes, margin, .. } = bounds;
    let mut parts = Parts::new(format, max_bytes);
    let mut len = 0;
    loop {
        let Some(line) = cut(&bytes[len..], 0, (max_bytes, margin), flush == Flush::Line) else {
            let crowded = bytes.len() >= max_bytes + margin;
            if len == 0 || (flush == Flush::No && !crowded) {
                return None;
            }
            return Some(Group { len, lines: parts.finish() });
        };
        // A group ends before the line that would make it too long, or that is so by itself.
        if line.piece.is_some() || (len > 0 && len + line.len() > max_bytes) {
            return (len > 0).then_some(Group { len, lines: parts.finish() });
        }
        parts.push(&bytes[len..len + line.body], line.end);
        len += line.len();
        if parts.open.is_empty() {
            return Some(Group { len, lines: parts.finish() });
        }
    }
}
