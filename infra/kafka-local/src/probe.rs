//! Asks a child a real question: Kafka's ApiVersions and Metadata, the registry's list of subjects.
//!
//! Written by hand over a socket, because only the runtime may know a Kafka client (I7).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
/// A response here lists one broker and no topic; anything larger is not Kafka.
const RESPONSE_MAX_BYTES: usize = 1 << 16;

/// Returns the cluster's id once the broker on `port` is registered and serves requests.
pub(crate) fn kafka(port: u16) -> io::Result<String> {
    let mut stream = connect(port)?;
    let versions = call(&mut stream, API_VERSIONS, 0, &[])?;
    match Fields(&versions).i16()? {
        0 => {}
        code => {
            return Err(io::Error::other(format!("ApiVersions answered error code {code}")));
        }
    }
    let no_topics = 0_i32.to_be_bytes();
    let metadata = call(&mut stream, METADATA, 2, &no_topics)?;
    let mut fields = Fields(&metadata);
    let n_brokers = fields.i32()?;
    if n_brokers < 1 {
        return Err(io::Error::other("the broker is not registered with its controller yet"));
    }
    for _ in 0..n_brokers {
        fields.i32()?; // node id
        fields.string()?; // host
        fields.i32()?; // port
        fields.string()?; // rack
    }
    fields.string()?.ok_or_else(|| io::Error::other("the broker knows no cluster id yet"))
}

/// Succeeds when `GET path` on `port` answers 200.
pub(crate) fn http(port: u16, path: &str) -> io::Result<()> {
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    match &status {
        b"HTTP/1.1 200" => Ok(()),
        other => Err(io::Error::other(format!("GET {path} answered {}", String::from_utf8_lossy(other)))),
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// One request with header version 1 (key, version, correlation id, client id), one response with header version 0.
fn call(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let correlation = i32::from(key);
    let client = b"millrace-probe";
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(correlation.to_be_bytes());
    request.extend((client.len() as i16).to_be_bytes());
    request.extend(client);
    request.extend(body);
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;

    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if size > RESPONSE_MAX_BYTES {
        return Err(io::Error::other(format!("answered {size} bytes, which is not kafka")));
    }
    let mut response = vec![0; size];
    stream.read_exact(&mut response)?;
    let mut fields = Fields(&response);
    if fields.i32()? != correlation {
        return Err(io::Error::other("answered another request's correlation id, which is not kafka"));
    }
    Ok(fields.0.to_vec())
}

/// What is left of a response.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take(&mut self, n: usize) -> io::Result<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> io::Result<i16> {
        Ok(self.take(2)?.iter().fold(0, |value, byte| value << 8 | i16::from(*byte)))
    }

    fn i32(&mut self) -> io::Result<i32> {
        Ok(self.take(4)?.iter().fold(0, |value, byte| value << 8 | i32::from(*byte)))
    }

    /// A nullable string; its length −1 is null.
    fn string(&mut self) -> io::Result<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(length) => Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned())),
            Err(_) => Ok(None),
        }
    }
}
