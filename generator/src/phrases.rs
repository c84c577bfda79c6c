//! Names, cities and sentences.
//!
//! To make up a sentence costs more than to send it. So a few thousand of each
//! kind are made at the start, from the same chance as all the rest, and the
//! events choose among them.

use fake::Fake;
use fake::faker::address::en::CityName;
use fake::faker::company::en::CompanyName;
use fake::faker::internet::en::SafeEmail;
use fake::faker::lorem::en::{Sentence, Word};
use fake::faker::name::en::Name;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt};

#[derive(Debug)]
pub(crate) struct Phrases {
    pub(crate) names: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) cities: Vec<String>,
    pub(crate) companies: Vec<String>,
    pub(crate) words: Vec<String>,
    pub(crate) sentences: Vec<String>,
}

impl Phrases {
    pub(crate) fn new(rng: &mut Xoshiro256PlusPlus) -> Phrases {
        let mut pool = |size: usize, make: fn(&mut Xoshiro256PlusPlus) -> String| {
            (0..size).map(|_| make(rng)).collect()
        };
        Phrases {
            names: pool(4096, |rng| Name().fake_with_rng(rng)),
            emails: pool(4096, |rng| SafeEmail().fake_with_rng(rng)),
            cities: pool(1024, |rng| CityName().fake_with_rng(rng)),
            companies: pool(1024, |rng| CompanyName().fake_with_rng(rng)),
            words: pool(1024, |rng| Word().fake_with_rng(rng)),
            sentences: pool(4096, |rng| Sentence(4..10).fake_with_rng(rng)),
        }
    }
}

/// Any of a few values, of which there must be one.
pub(crate) fn any<'a, T>(values: &'a [T], rng: &mut impl Rng) -> &'a T {
    &values[rng.random_range(0..values.len())]
}
