//! The customers and products that later events may refer to.

use events::Id;
use rand::{Rng, RngExt};

/// Ids that were sent, the newest of them: a shop that runs for a year must not
/// need more memory than one that runs for an hour.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: Vec<Id>,
    oldest: usize,
}

impl Known {
    const CAPACITY: usize = 100_000;

    /// Remembers an id, in place of the oldest when there are too many.
    pub(crate) fn add(&mut self, id: Id) {
        if self.ids.len() < Self::CAPACITY {
            self.ids.push(id);
        } else {
            self.ids[self.oldest] = id;
            self.oldest = (self.oldest + 1) % Self::CAPACITY;
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Any of them, if there is one.
    pub(crate) fn any(&self, rng: &mut impl Rng) -> Option<Id> {
        if self.ids.is_empty() {
            return None;
        }
        Some(self.ids[rng.random_range(0..self.ids.len())].clone())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut known = Known::default();
        for number in 0..250_000u128 {
            known.add(Id::from_uuid(number));
        }
        assert_eq!(known.ids.len(), Known::CAPACITY);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        assert!(known.any(&mut rng).is_some());
        for number in 150_000..250_000u128 {
            let place = usize::try_from(number).unwrap() % Known::CAPACITY;
            assert_eq!(known.ids[place], Id::from_uuid(number));
        }
    }
}
