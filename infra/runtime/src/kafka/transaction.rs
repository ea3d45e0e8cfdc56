//! A transaction that ends on another thread while its member reads on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;

use super::{Error, TxnProducer};

/// Whether a transaction of a member is under way: its partitions are given up only when that is decided.
#[derive(Default)]
pub(super) struct Flight {
    under_way: Mutex<bool>,
    decided: Condvar,
}

impl Flight {
    /// Waits until no transaction is under way.
    pub(super) fn wait(&self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while *under_way {
            under_way = self.decided.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, under_way: bool) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = under_way;
        self.decided.notify_all();
    }
}

/// One transaction of a [`super::Member`]: its producer, and the offsets that it will carry. Decided when dropped.
pub struct Transaction {
    pub(super) producer: Arc<Mutex<TxnProducer>>,
    pub(super) offsets: TopicPartitionList,
    pub(super) group: ConsumerGroupMetadata,
    flight: Arc<Flight>,
}

impl Transaction {
    pub(super) fn new(
        producer: Arc<Mutex<TxnProducer>>,
        offsets: TopicPartitionList,
        group: ConsumerGroupMetadata,
        flight: Arc<Flight>,
    ) -> Transaction {
        flight.set(true);
        Transaction { producer, offsets, group, flight }
    }

    /// Where its records are sent. Begin first.
    pub fn producer(&self) -> MutexGuard<'_, TxnProducer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits it with its offsets.
    ///
    /// # Errors
    /// By class, as for [`TxnProducer::commit`].
    pub fn commit(self) -> Result<(), Error> {
        self.producer().commit(Some((&self.offsets, &self.group)))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.flight.set(false);
    }
}
