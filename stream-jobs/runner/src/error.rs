//! Errors of a session, named by what happens next.

/// What the loop does next, the gravest last. *Retry* never comes here: the session repeats such calls itself, up to a
/// deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The transaction is void, the process is well: abort it, read the same records again.
    Abort,
    /// It is doubtful whether the transaction committed, or someone else owns the work: new producer, state dropped and
    /// restored, join anew.
    Rejoin,
    /// A bug, a wrong configuration or a broken invariant: stop the process.
    Exit,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a session could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Class *Abort*.
    #[error("could not {action}, the transaction is void")]
    Abort {
        /// What was tried, as a verb and its object.
        action: String,
        /// What the client said.
        source: Source,
    },
    /// Class *Rejoin*.
    #[error("could not {action}, the work has to be taken up anew")]
    Rejoin {
        /// What was tried, as a verb and its object.
        action: String,
        /// What the client said.
        source: Source,
    },
    /// Class *Exit*.
    #[error("could not {action}")]
    Exit {
        /// What was tried, as a verb and its object.
        action: String,
        /// What the client said.
        source: Source,
    },
}

impl Error {
    /// An error of class `class`.
    pub fn new(class: Class, action: impl Into<String>, source: impl Into<Source>) -> Error {
        let (action, source) = (action.into(), source.into());
        match class {
            Class::Abort => Error::Abort { action, source },
            Class::Rejoin => Error::Rejoin { action, source },
            Class::Exit => Error::Exit { action, source },
        }
    }

    /// What happens next.
    pub fn class(&self) -> Class {
        match self {
            Error::Abort { .. } => Class::Abort,
            Error::Rejoin { .. } => Class::Rejoin,
            Error::Exit { .. } => Class::Exit,
        }
    }
}
