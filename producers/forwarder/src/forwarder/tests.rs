//! The forwarder over real files and an outlet in memory, driven step by step with a clock of its own.

mod copied;
mod entries;
mod faults;
mod follow;
mod inputs;
mod moved;
mod packed;
mod random;
mod rig;
mod room;
