//! The broker's folder: settings, storage formatted once, the controller's port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::archive::Archive;
use crate::child::{last_lines, mortal, spawn};
use crate::{Error, Jars, ports};

const LOG4J: &str = include_str!("../log4j2.properties");
/// Base64's 64 digits in the form that Kafka's ids use, without the two that are not letters or digits.
const ID_DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Where things lie below a broker's data folder.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) dir: PathBuf,
}

impl Storage {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(Error::io("resolve", dir))?;
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let storage = Self { dir };
        let log4j = storage.log4j();
        fs::write(&log4j, LOG4J).map_err(Error::io("write", &log4j))?;
        Ok(storage)
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    pub(crate) fn log4j(&self) -> PathBuf {
        self.dir.join("log4j2.properties")
    }

    /// Kafka's own `log.dirs`.
    pub(crate) fn records(&self) -> PathBuf {
        self.dir.join("records")
    }

    pub(crate) fn is_formatted(&self) -> bool {
        self.records().join("meta.properties").is_file()
    }

    /// The controller's port: the one of the last start, since the quorum's voters are stored with their addresses.
    /// A lone voter also comes up on another one (tried), so a port that was taken meanwhile is given up.
    pub(crate) fn controller_port(&self) -> Result<u16, Error> {
        let path = self.dir.join("controller.port");
        let stored = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(port) = stored.filter(|port| ports::check("kafka's controller", *port).is_ok()) {
            return Ok(port);
        }
        let port = ports::free_port()?;
        fs::write(&path, port.to_string()).map_err(Error::io("write", &path))?;
        Ok(port)
    }

    pub(crate) fn write_settings(&self, settings: &[(String, String)]) -> Result<(), Error> {
        let text: String = settings.iter().map(|(key, value)| format!("{key}={}\n", escape(value))).collect();
        fs::write(self.settings(), text).map_err(Error::io("write", &self.settings()))
    }

    /// Formats on the first start. A tool that dies half-way leaves only a folder with another name.
    pub(crate) fn format(&self, jars: &Jars, settings: &[(String, String)]) -> Result<(), Error> {
        if self.is_formatted() {
            return Ok(());
        }
        let partial = self.dir.join("records.partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(Error::io("remove", &partial))?;
        }
        let mut in_partial = settings.to_vec();
        in_partial.push(("log.dirs".to_owned(), partial.display().to_string()));
        self.write_settings(&in_partial)?;

        let mut command = mortal(jars.java())?;
        // A second of work: compiling it well would take longer than running it.
        command.args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            "-XX:-UsePerfData",
        ]);
        Archive::Kafka.read(jars, &mut command);
        command
            .arg(format!("-Dmillrace.log={}", self.dir.join("format.log").display()))
            .arg(format!("-Dlog4j2.configurationFile={}", self.log4j().display()))
            .args(["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id"])
            .arg(new_id())
            .arg("--config")
            .arg(self.settings())
            .env("CLASSPATH", jars.kafka_class_path()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = spawn(command).and_then(|child| child.wait_with_output());
        let output = run.map_err(Error::io("run", jars.java()))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let tail = last_lines(&String::from_utf8_lossy(&said));
            return Err(Error::Format { dir: self.dir.clone(), status: output.status, tail });
        }
        fs::rename(&partial, self.records()).map_err(Error::io("rename", &partial))
    }
}

/// A Kafka id: 128 bits in 22 digits, the last of which holds two bits only.
fn new_id() -> String {
    let digits = (0..21).map(|_| char::from(ID_DIGITS[(ports::random() % 62) as usize]));
    digits.chain(['A']).collect()
}

/// Java reads properties as Latin-1, with `\` as its escape.
fn escape(value: &str) -> String {
    value.encode_utf16().fold(String::new(), |mut text, unit| {
        match u8::try_from(unit) {
            Ok(b'\\') => text.push_str(r"\\"),
            Ok(byte) if byte.is_ascii_graphic() => text.push(char::from(byte)),
            _ => text.push_str(&format!(r"\u{unit:04x}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{escape, new_id};

    #[test]
    fn values_survive_javas_properties() {
        assert_eq!(escape("/data/ä b\\c"), r"/data/\u00e4\u0020b\\c");
    }

    #[test]
    fn ids_have_kafkas_length_and_differ() {
        assert_eq!(new_id().len(), 22);
        assert_ne!(new_id(), new_id());
    }
}
