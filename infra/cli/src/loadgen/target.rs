//! Where lines go: a file, Kafka, a gateway's HTTP endpoint, a syslog listener. Each answers when a batch is taken.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::args::Load;
use super::http::{Http, Protocol};
use super::kafka::{KafkaSender, KafkaTarget};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest datagram that reaches every host.
const DATAGRAM: usize = 8_192;

/// Where lines go, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    File(PathBuf),
    Kafka,
    Http(Protocol, String),
    SyslogTcp(String),
    SyslogUdp(String),
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Target, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let address = rest.strip_prefix("//").unwrap_or_default().trim_end_matches('/');
        match scheme {
            "kafka" if rest.is_empty() => Ok(Target::Kafka),
            "file" if !rest.is_empty() => Ok(Target::File(rest.into())),
            "syslog+tcp" if address.contains(':') => Ok(Target::SyslogTcp(address.to_owned())),
            "syslog+udp" if address.contains(':') => Ok(Target::SyslogUdp(address.to_owned())),
            _ => http(scheme, address).ok_or_else(|| {
                format!(
                    "{text:?} is none of file:PATH, kafka, http://HOST:PORT (also bulk+http, loki+http, hec+http), \
                     syslog+tcp://HOST:PORT, syslog+udp://HOST:PORT"
                )
            }),
        }
    }
}

/// `http` or `https`, with the protocol before it.
fn http(scheme: &str, address: &str) -> Option<Target> {
    let found = Protocol::PREFIXES.iter().find_map(|(prefix, protocol)| {
        let bare = scheme.strip_prefix(prefix).filter(|bare| ["http", "https"].contains(bare))?;
        Some(Target::Http(*protocol, format!("{bare}://{address}")))
    });
    found.filter(|_| !address.is_empty())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File(path) => write!(f, "file:{}", path.display()),
            Target::Kafka => f.write_str("kafka"),
            Target::Http(protocol, url) => write!(f, "{}{url}", protocol.prefix()),
            Target::SyslogTcp(address) => write!(f, "syslog+tcp://{address}"),
            Target::SyslogUdp(address) => write!(f, "syslog+udp://{address}"),
        }
    }
}

/// Entries of one batch, one after the other, each with a line end.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Entries {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn push(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        make(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self.bytes.push(b'\n');
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Without their line ends.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// A batch that was not taken.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Short, for counting.
    pub(crate) kind: String,
    /// For the log, once a kind.
    pub(crate) text: String,
    /// The same batch may be taken later.
    pub(crate) again: bool,
    /// When, where the target says so.
    pub(crate) after: Option<Duration>,
}

impl Refused {
    pub(crate) fn passing(kind: &str, error: &dyn fmt::Display) -> Refused {
        Refused {
            kind: kind.to_owned(),
            text: format!("could not {kind}: {error}"),
            again: true,
            after: None,
        }
    }
}

/// Opens a sender for each agent.
#[derive(Clone)]
pub(crate) enum Opener {
    File(PathBuf),
    Kafka(Arc<KafkaTarget>),
    Http(Arc<Http>),
    SyslogTcp(String),
    SyslogUdp(String),
}

impl Opener {
    pub(crate) fn new(target: &Target, args: &Load) -> anyhow::Result<Opener> {
        Ok(match target {
            Target::File(path) => Opener::File(path.clone()),
            Target::Kafka => Opener::Kafka(Arc::new(KafkaTarget::open(args)?)),
            Target::Http(protocol, base) => Opener::Http(Arc::new(Http::new(*protocol, base, args)?)),
            Target::SyslogTcp(address) => Opener::SyslogTcp(address.clone()),
            Target::SyslogUdp(address) => Opener::SyslogUdp(address.clone()),
        })
    }

    pub(crate) fn open(&self, number: u32) -> Result<Sender, Refused> {
        let fault = |error: std::io::Error| Refused::passing("connect", &error);
        match self {
            Opener::File(path) => {
                let opened = File::options().create(true).append(true).open(path);
                let opened = opened.map_err(|error| Refused {
                    again: false,
                    ..Refused::passing("write", &format!("{}: {error}", path.display()))
                })?;
                Ok(Sender::File(opened))
            }
            Opener::Kafka(target) => Ok(Sender::Kafka(Box::new(target.sender(number)?))),
            Opener::Http(http) => Ok(Sender::Http(http.clone())),
            Opener::SyslogTcp(address) => {
                let mut found = address.to_socket_addrs().map_err(fault)?;
                let first = found.next().ok_or_else(|| Refused::passing("connect", &"no such host"))?;
                let stream = TcpStream::connect_timeout(&first, TIMEOUT).map_err(fault)?;
                stream.set_write_timeout(Some(TIMEOUT)).map_err(fault)?;
                Ok(Sender::SyslogTcp(stream, Vec::new()))
            }
            Opener::SyslogUdp(address) => {
                let socket = UdpSocket::bind("0.0.0.0:0").map_err(fault)?;
                socket.connect(address).map_err(fault)?;
                Ok(Sender::SyslogUdp(socket))
            }
        }
    }
}

/// One agent's way to the target; dropped after an error.
pub(crate) enum Sender {
    File(File),
    Kafka(Box<KafkaSender>),
    Http(Arc<Http>),
    SyslogTcp(TcpStream, Vec<u8>),
    SyslogUdp(UdpSocket),
}

impl Sender {
    pub(crate) fn send(&mut self, entries: &Entries) -> Result<(), Refused> {
        let fault = |error: std::io::Error| Refused::passing("send", &error);
        match self {
            // One call, so that the lines of several agents do not mix.
            Sender::File(file) => file.write_all(entries.bytes()).map_err(|error| Refused {
                // A part of it may be written: again would double it.
                again: false,
                ..Refused::passing("write", &error)
            }),
            Sender::Kafka(own) => own.send(entries),
            Sender::Http(own) => own.send(entries),
            Sender::SyslogTcp(stream, out) => {
                out.clear();
                for entry in entries.iter() {
                    frame(&message(entry), out);
                }
                stream.write_all(out).map_err(fault)
            }
            Sender::SyslogUdp(socket) => {
                for entry in entries.iter() {
                    let message = message(entry);
                    socket.send(&message[..message.len().min(DATAGRAM)]).map_err(fault)?;
                }
                Ok(())
            }
        }
    }
}

/// What is syslog goes as it is; everything else as the message of an RFC 5424 line.
fn message(entry: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let digits = entry.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if entry.first() == Some(&b'<') && (1..=3).contains(&digits) && entry.get(digits + 1) == Some(&b'>') {
        return entry.into();
    }
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    let mut out = format!("<134>1 {time} loadgen millrace {} - - ", std::process::id()).into_bytes();
    out.extend_from_slice(entry);
    out.into()
}

/// Octet counting of RFC 6587: an entry may have line ends within.
fn frame(message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(message.len().to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_shown_alike() {
        for text in [
            "kafka",
            "file:a/b.log",
            "http://h:1",
            "bulk+https://h:1",
            "loki+http://h:1",
            "syslog+tcp://h:2",
            "syslog+udp://h:3",
        ] {
            assert_eq!(Target::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "kafka:x", "file:", "http://", "syslog+tcp://h", "ftp://h:1"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn entries_are_framed_by_their_length() {
        let mut out = Vec::new();
        frame(&message(b"<34>1 - a\nb"), &mut out);
        assert_eq!(out, b"11 <34>1 - a\nb");
        let wrapped = message(b"<not a priority> x");
        assert!(wrapped.starts_with(b"<134>1 ") && wrapped.ends_with(b" - - <not a priority> x"));
    }

    #[test]
    fn entries_are_kept_apart() {
        let mut entries = Entries::default();
        for text in ["a\nb", "", "c"] {
            entries.push(|out| out.extend_from_slice(text.as_bytes()));
        }
        assert_eq!(entries.iter().collect::<Vec<_>>(), [&b"a\nb"[..], b"", b"c"]);
        assert_eq!((entries.len(), entries.bytes()), (3, &b"a\nb\n\nc\n"[..]));
    }
}
