//! The scripted session does what every session must do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::Class;
use crate::conformance::{Count, Rig, suite};
use crate::scripted::{KNOWN_ID, Kind, Pace, Scripted, World};

struct InMemory {
    world: Rc<RefCell<World>>,
    per_poll: usize,
    pace: Pace,
    kind: Kind,
}

impl Rig for InMemory {
    type Session = Scripted;

    fn job(&self) -> Count {
        Count { input: "in".to_owned(), output: "out".to_owned() }
    }

    fn append(&mut self, partition: i32, values: &[&str]) {
        let mut world = self.world.borrow_mut();
        let own = world.input.entry(partition).or_default();
        own.extend(values.iter().map(|value| value.as_bytes().to_vec()));
    }

    fn start(&mut self) -> Scripted {
        Scripted::start(&self.world, self.per_poll, self.pace)
    }

    fn break_next_commit(&mut self, _: &mut Scripted) {
        // The first step begins the transaction, the second sends.
        self.world.borrow_mut().fail_in(2, self.kind);
    }

    fn outputs(&mut self) -> BTreeMap<i32, Vec<String>> {
        let mut outputs: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (partition, value) in &self.world.borrow().committed.outputs {
            outputs.entry(*partition).or_default().push(String::from_utf8(value.clone()).unwrap());
        }
        outputs
    }

    fn dead(&mut self) -> Vec<(i32, i64)> {
        let world = self.world.borrow();
        world.committed.dead.iter().map(|(_, letter)| (letter.partition, letter.offset)).collect()
    }

    fn committed(&mut self) -> BTreeMap<i32, i64> {
        self.world.borrow().committed.offsets.clone()
    }

    fn schema_ids(&self) -> (u32, u32) {
        (KNOWN_ID, KNOWN_ID + 1)
    }
}

#[test]
fn scripted_session_does_what_every_session_must_do() {
    for per_poll in [1, 2, 100] {
        for (class, pace) in [
            (Class::Abort, Pace::AtOnce),
            (Class::Abort, Pace::Late),
            (Class::Rejoin, Pace::AtOnce),
            (Class::Rejoin, Pace::Late),
        ] {
            suite(|_| InMemory {
                world: World::new((0..3).map(|partition| (partition, vec![])).collect(), vec![]),
                per_poll,
                pace,
                kind: Kind::Fail(class),
            });
        }
    }
}
