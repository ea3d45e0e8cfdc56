//! Places for connections (I10). An address gets one while it holds no more than are free, so that however many hosts try,
//! there is always one for a host that has none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_runtime::metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempts::network;

#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    held: Held,
}

type Held = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A place that an address holds.
#[derive(Debug)]
pub(crate) struct Place {
    address: IpAddr,
    held: Held,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(most: usize) -> Places {
        Places { most, free: Arc::new(Semaphore::new(most)), held: Held::default() }
    }

    /// Waits for a place for whoever comes next; `None` never happens: nobody closes them.
    pub(crate) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Gives it to `address`, if it may have one more.
    pub(crate) fn give(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.entry(address).or_default();
        if *own > self.free.available_permits() {
            metrics::gateway_refused("connections", 1);
            tracing::debug!(%address, held = *own, "connection closed: its address holds too many");
            return None;
        }
        *own += 1;
        Some(Place { address, held: self.held.clone(), _permit: permit })
    }

    /// Waits until all are free.
    pub(crate) async fn empty(&self) {
        drop(self.free.acquire_many(self.most as u32).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places that `address` gets of so many tries.
    fn take(places: &Places, address: &str, tries: usize) -> Vec<Place> {
        let take = |_| places.give(places.free.clone().try_acquire_owned().ok()?, address.parse().unwrap());
        (0..tries).filter_map(take).collect()
    }

    #[test]
    fn no_address_keeps_another_out() {
        let places = Places::new(100);
        let first = take(&places, "10.0.0.1", 200);
        let second = take(&places, "10.0.0.2", 200);
        let networks = take(&places, "2001:db8::1", 200).len() + take(&places, "2001:db8::2", 200).len();
        assert_eq!((first.len(), second.len(), networks), (50, 25, 13));
        assert_eq!(take(&places, "10.0.0.3", 1).len(), 1, "one that has none");
        drop(first);
        assert!(take(&places, "10.0.0.2", 200).len() > 20, "what is free again is given again");
    }

    #[test]
    fn nobody_is_remembered_who_holds_nothing() {
        let places = Places::new(3);
        drop(take(&places, "10.0.0.1", 9));
        assert!(places.held.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 3);
    }
}
