//! The shop's six topics, as sources.

use dataflow::views::column::Batch;
use dataflow::views::source::{Decoder, Source, SourceColumn};
use events::{
    Customer, Customers, Malformed, Product, ProductView, ProductViews, Products, SystemLog,
    SystemLogs, Topic, Transaction, Transactions, UserInteraction, UserInteractions,
};
use model::{DataType, Datum};
use std::sync::{Arc, LazyLock};

/// Appends an event to the wanted columns of a batch.
type Put<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>, &[bool], &mut Batch);

/// A decoder that was compiled for a topic.
struct Compiled<T: Topic> {
    put: Put<T>,
}

impl<T: Topic> Decoder for Compiled<T> {
    #[inline]
    fn decode(&self, message: &[u8], wanted: &[bool], into: &mut Batch) -> Result<(), Malformed> {
        let event = T::decode(message)?;
        (self.put)(&event, wanted, into);
        Ok(())
    }
}

/// What a field of an event is in a column.
trait Held {
    /// The column's type, and whether it may be NULL.
    fn column() -> (DataType, bool);
    /// Appends the value.
    fn put(&self, number: usize, into: &mut Batch);
}

impl Held for events::Id {
    fn column() -> (DataType, bool) {
        (DataType::Text, false)
    }

    #[inline]
    fn put(&self, number: usize, into: &mut Batch) {
        into.columns[number].push_datum(Datum::from(self.clone()));
    }
}

impl Held for events::Text<'_> {
    fn column() -> (DataType, bool) {
        (DataType::Text, false)
    }

    #[inline]
    fn put(&self, number: usize, into: &mut Batch) {
        into.columns[number].push_datum(Datum::text(self));
    }
}

impl Held for Option<events::Text<'_>> {
    fn column() -> (DataType, bool) {
        (DataType::Text, true)
    }

    fn put(&self, number: usize, into: &mut Batch) {
        let value = self
            .as_ref()
            .map_or_else(Datum::null, |text| Datum::text(text));
        into.push(number, &value);
    }
}

impl Held for i64 {
    fn column() -> (DataType, bool) {
        (DataType::BigInt, false)
    }

    #[inline]
    fn put(&self, number: usize, into: &mut Batch) {
        into.columns[number].push_long(*self);
    }
}

impl Held for Option<i64> {
    fn column() -> (DataType, bool) {
        (DataType::BigInt, true)
    }

    fn put(&self, number: usize, into: &mut Batch) {
        into.push(number, &self.map_or_else(Datum::null, Datum::long));
    }
}

impl Held for Option<f64> {
    fn column() -> (DataType, bool) {
        (DataType::Double, true)
    }

    fn put(&self, number: usize, into: &mut Batch) {
        into.push(number, &self.map_or_else(Datum::null, Datum::double));
    }
}

impl Held for events::Timestamp {
    fn column() -> (DataType, bool) {
        (DataType::Timestamp, false)
    }

    #[inline]
    fn put(&self, number: usize, into: &mut Batch) {
        into.columns[number].push_long(self.as_micros());
    }
}

impl Held for events::Money {
    fn column() -> (DataType, bool) {
        let (precision, scale) = (19, 9);
        (DataType::Decimal { precision, scale }, false)
    }

    #[inline]
    fn put(&self, number: usize, into: &mut Batch) {
        // Every price fits 64 bits, so that all of the column does.
        into.columns[number].push_long(self.0);
    }
}

/// A function that returns a topic's source, of fields of its event, which is given twice: as it
/// borrows of a message, and as one that borrows of nothing.
macro_rules! source {
    ($name:ident, $topic:ident, $event:ty, $static:ty, { $($field:ident),+ $(,)? }) => {
        #[doc = concat!("The topic `", stringify!($name), "`.")]
        pub fn $name() -> Arc<Source> {
            static SOURCE: LazyLock<Arc<Source>> = LazyLock::new(|| {
                fn put(event: &$event, wanted: &[bool], into: &mut Batch) {
                    let mut number = 0;
                    $(
                        if wanted[number] {
                            event.$field.put(number, into);
                        }
                        number += 1;
                    )+
                    debug_assert_eq!(number, wanted.len());
                }
                fn column<H: Held>(name: &str, _: fn($static) -> H) -> SourceColumn {
                    let (data_type, is_nullable) = H::column();
                    SourceColumn {
                        name: name.to_owned(),
                        data_type,
                        is_nullable,
                        is_time: $topic::TIMES.iter().any(|time| time.name == name),
                    }
                }
                let decoder = Compiled::<$topic> { put };
                Arc::new(Source {
                    name: $topic::NAME.to_owned(),
                    columns: vec![$(column(stringify!($field), |event: $static| event.$field)),+],
                    decoder: Box::new(decoder),
                })
            });
            Arc::clone(&SOURCE)
        }
    };
}

source!(customers, Customers, Customer<'_>, Customer<'static>, {
    customer_id, name, email, location, age, gender, account_created, last_login,
});
source!(products, Products, Product<'_>, Product<'static>, {
    product_id, name, category, price, stock_quantity, supplier, rating,
});
source!(transactions, Transactions, Transaction<'_>, Transaction<'static>, {
    transaction_id, customer_id, product_id, quantity, date_time, status, payment_method,
});
source!(product_views, ProductViews, ProductView, ProductView, {
    view_id, customer_id, product_id, timestamp, view_duration,
});
source!(user_interactions, UserInteractions, UserInteraction<'_>, UserInteraction<'static>, {
    interaction_id, customer_id, product_id, timestamp, interaction_type, details,
});
source!(system_logs, SystemLogs, SystemLog<'_>, SystemLog<'static>, {
    log_id, timestamp, level, message,
});

/// All of them, in their order.
pub fn sources() -> [Arc<Source>; 6] {
    [
        customers(),
        products(),
        transactions(),
        product_views(),
        user_interactions(),
        system_logs(),
    ]
}
