//! What stands under an id in the arrangements of the join.
//!
//! Under the id of a customer or a product stand its versions, and what is joined
//! with them. Versions come first, so that they are found without passing over the
//! rest; then everything of one window stands together.

use events::Id;
use model::{Slot, Stamp};
use serde::{Deserialize, Serialize};

/// A version of a sale. Under the id of its transaction.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Sale {
    /// How new it is.
    pub stamp: Stamp,
    /// Its window.
    pub slot: Slot,
    /// Items.
    pub quantity: i64,
    /// Who bought.
    pub customer: Id,
    /// What was bought.
    pub product: Id,
    /// Whether it is paid.
    pub status: Id,
}

/// A version of a customer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Person {
    /// How new it is.
    pub stamp: Stamp,
    /// The gender.
    pub gender: Id,
}

/// A version of a product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Price {
    /// How new it is.
    pub stamp: Stamp,
    /// The category.
    pub category: Id,
    /// The price of one, in billionths.
    pub price: i64,
}

/// What stands under the id of a customer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ByCustomer {
    /// A version of the customer.
    Is(Person),
    /// Something that the customer has bought.
    Bought(Bought),
}

/// Something bought.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Bought {
    /// The window.
    pub slot: Slot,
    /// What was bought.
    pub product: Id,
    /// Whether it is paid.
    pub status: Id,
}

/// What stands under the id of a product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ByProduct {
    /// A version of the product.
    Is(Price),
    /// How much of it was sold.
    Sold(Sold),
    /// Who has bought it.
    Buyer(Buyer),
}

/// So much sold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Sold {
    /// The window.
    pub slot: Slot,
    /// Gender and status, packed.
    pub who: Id,
}

/// Someone who has bought.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Buyer {
    /// The window.
    pub slot: Slot,
    /// Gender and status, packed.
    pub who: Id,
    /// The customer.
    pub customer: Id,
}

/// What stands under an id: a version of it, or something joined with it.
pub(super) trait Entry: Ord + Clone + 'static {
    /// A version.
    type Version: Ord + Clone + 'static;

    /// The entry of a version.
    fn of(version: Self::Version) -> Self;

    /// The version that it is, if it is one.
    fn version(&self) -> Option<&Self::Version>;

    /// How new a version is.
    fn stamp(version: &Self::Version) -> Stamp;

    /// The window that it belongs to, if it is joined.
    fn slot(&self) -> Option<Slot>;

    /// What comes before all entries of a window, for each kind of entry, in their
    /// order.
    fn firsts(slot: Slot) -> Vec<Self>;

    /// Whether it makes no difference to this entry which of two versions is joined
    /// with it.
    fn is_same(&self, one: Option<&Self::Version>, other: Option<&Self::Version>) -> bool;
}

impl Entry for ByCustomer {
    type Version = Person;

    fn of(version: Person) -> ByCustomer {
        ByCustomer::Is(version)
    }

    fn version(&self) -> Option<&Person> {
        match self {
            ByCustomer::Is(person) => Some(person),
            ByCustomer::Bought(_) => None,
        }
    }

    fn stamp(version: &Person) -> Stamp {
        version.stamp
    }

    fn slot(&self) -> Option<Slot> {
        match self {
            ByCustomer::Is(_) => None,
            ByCustomer::Bought(bought) => Some(bought.slot),
        }
    }

    fn firsts(slot: Slot) -> Vec<ByCustomer> {
        vec![ByCustomer::Bought(Bought {
            slot,
            product: Id::default(),
            status: Id::default(),
        })]
    }

    fn is_same(&self, one: Option<&Person>, other: Option<&Person>) -> bool {
        one.map(|person| &person.gender) == other.map(|person| &person.gender)
    }
}

impl Entry for ByProduct {
    type Version = Price;

    fn of(version: Price) -> ByProduct {
        ByProduct::Is(version)
    }

    fn version(&self) -> Option<&Price> {
        match self {
            ByProduct::Is(price) => Some(price),
            ByProduct::Sold(_) | ByProduct::Buyer(_) => None,
        }
    }

    fn stamp(version: &Price) -> Stamp {
        version.stamp
    }

    fn slot(&self) -> Option<Slot> {
        match self {
            ByProduct::Is(_) => None,
            ByProduct::Sold(sold) => Some(sold.slot),
            ByProduct::Buyer(buyer) => Some(buyer.slot),
        }
    }

    fn firsts(slot: Slot) -> Vec<ByProduct> {
        let who = Id::default();
        let customer = Id::default();
        let sold = Sold {
            slot,
            who: who.clone(),
        };
        let buyer = Buyer {
            slot,
            who,
            customer,
        };
        vec![ByProduct::Sold(sold), ByProduct::Buyer(buyer)]
    }

    fn is_same(&self, one: Option<&Price>, other: Option<&Price>) -> bool {
        let category = |price: Option<&Price>| price.map(|price| price.category.clone());
        let amount = |price: Option<&Price>| price.map(|price| price.price);
        // Who has bought is told by category, whatever it cost.
        let costs_same = matches!(self, ByProduct::Buyer(_)) || amount(one) == amount(other);
        costs_same && category(one) == category(other)
    }
}
