//! `PUT /v1/batches/{stream}/{host}/{minute}`: the lines of one minute, committed in parts as they come.
//!
//! `name`, `body`, `fault` and `attempt` are pure. `known` holds how far each batch is committed: the records of
//! `millrace.batches`, each written in the transaction of the lines that it tells of, so that a kill of gateway or sender
//! never leaves the two apart (I2). `put` carries one request.

mod attempt;
mod body;
mod fault;
mod known;
mod name;
mod put;

pub(crate) use body::codec;
pub(crate) use known::{Batches, Known, Step};
pub(crate) use name::Name;
pub(crate) use put::put;
