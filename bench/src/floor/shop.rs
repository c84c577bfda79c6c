//! The views, and what an event does to them.

use super::revenue::{Revenue, Stamp};
use super::table::{Row, Table};
use super::write::Database;
use crate::log::Message;
use events::{
    Customers, Id, Malformed, ProductViews, Products, SystemLogs, TOPICS, Topic, Transactions,
    UserInteractions,
};
use mongodb::bson::Decimal128;
use sinks::mongodb::Bytes;
use std::error::Error;
use std::fmt::Write as _;

/// The topics of all seven views, or of the four original ones.
pub fn topics(seven: bool) -> &'static [&'static str] {
    if seven { &TOPICS } else { &TOPICS[..4] }
}

/// Microseconds.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// All views.
#[derive(Default)]
pub struct Shop {
    customers: Table<1>,
    products: Table<1>,
    sales: Table<1>,
    views: Table<1>,
    interactions: Table<2>,
    lines: Table<1>,
    /// The join, where it is computed.
    revenue: Option<Revenue>,
}

impl Shop {
    /// The four original views, or all seven.
    pub fn new(all: bool) -> Shop {
        Shop {
            revenue: all.then(Revenue::default),
            ..Shop::default()
        }
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn take(&mut self, message: &Message<'_>) -> Result<(), Malformed> {
        let sent = message.timestamp * 1_000;
        let stamp = Stamp {
            kafka: message.timestamp,
            partition: message.partition,
            offset: message.offset,
        };
        match message.topic {
            0 => {
                let event = Customers::decode(message.value)?;
                let login = event.last_login.as_micros();
                let gender = Id::new(&event.gender);
                if let Some(revenue) = &mut self.revenue {
                    revenue.customer(event.customer_id.clone(), gender.clone(), stamp);
                }
                let number = self.customers.touch(login.div_euclid(DAY), [gender]);
                let row = self.customers.row(number);
                row.count += 1;
                row.sums[0] = row.sums[0].max(login.into());
                self.customers.member(number, event.customer_id);
            }
            1 => {
                let event = Products::decode(message.value)?;
                let category = Id::new(&event.category);
                if let Some(revenue) = &mut self.revenue {
                    revenue.product(event.product_id, category.clone(), event.price, stamp);
                }
                let number = self.products.touch(sent.div_euclid(HOUR), [category]);
                let row = self.products.row(number);
                row.count += 1;
                row.sums[0] += i128::from(event.price.nanos());
                row.sums[1] += i128::from(event.stock_quantity);
            }
            2 => {
                let event = Transactions::decode(message.value)?;
                if let Some(revenue) = &mut self.revenue {
                    revenue.sale(&event, event.date_time.as_micros().div_euclid(HOUR), stamp);
                }
                let number = self.sales.touch(sent.div_euclid(HOUR), [event.product_id]);
                let row = self.sales.row(number);
                row.count += 1;
                row.sums[0] += i128::from(event.quantity);
                self.sales.member(number, event.customer_id);
            }
            3 => {
                let event = ProductViews::decode(message.value)?;
                let hour = event.timestamp.as_micros().div_euclid(HOUR);
                let number = self.views.touch(hour, [event.product_id]);
                let row = self.views.row(number);
                row.count += 1;
                row.sums[0] += i128::from(event.view_duration);
            }
            4 => {
                let event = UserInteractions::decode(message.value)?;
                let hour = event.timestamp.as_micros().div_euclid(HOUR);
                let kind = Id::new(&event.interaction_type);
                let number = self.interactions.touch(hour, [event.product_id, kind]);
                self.interactions.row(number).count += 1;
                self.interactions.member(number, event.customer_id);
            }
            _ => {
                let event = SystemLogs::decode(message.value)?;
                let hour = event.timestamp.as_micros().div_euclid(HOUR);
                let number = self.lines.touch(hour, [Id::new(&event.level)]);
                self.lines.row(number).count += 1;
            }
        }
        Ok(())
    }

    /// Writes the rows that have changed.
    ///
    /// # Errors
    /// When the database does not take them.
    pub fn write(&mut self, to: &mut Database) -> Result<(), Box<dyn Error>> {
        let flat = ["window_start", "window_end"];
        put(
            &mut self.customers,
            "customer_analysis",
            DAY,
            to,
            |bson, window, row| {
                let nested = bson.document("window");
                dates(bson, ["start", "end"], window);
                bson.end(nested);
                id(bson, "gender", &row.group[0]);
                bson.long("total_customers", row.count);
                bson.long("unique_customers", row.unique);
                bson.date("last_activity", long(row.sums[0].div_euclid(1_000)));
            },
        )?;
        put(
            &mut self.products,
            "product_analysis",
            HOUR,
            to,
            |bson, window, row| {
                dates(bson, flat, window);
                id(bson, "category", &row.group[0]);
                bson.double("average_price", mean(row.sums[0], row.count) / 1e9);
                bson.long("total_stock", long(row.sums[1]));
            },
        )?;
        put(
            &mut self.sales,
            "sales_analysis",
            HOUR,
            to,
            |bson, window, row| {
                dates(bson, flat, window);
                id(bson, "product_id", &row.group[0]);
                bson.long("number_of_sales", row.count);
                bson.long("total_quantity_sold", long(row.sums[0]));
                bson.long("unique_customers", row.unique);
            },
        )?;
        put(
            &mut self.views,
            "product_views_analysis",
            HOUR,
            to,
            |bson, window, row| {
                dates(bson, flat, window);
                id(bson, "product_id", &row.group[0]);
                bson.long("total_views", row.count);
                bson.double("average_view_duration", mean(row.sums[0], row.count));
            },
        )?;
        put(
            &mut self.interactions,
            "interaction_analysis",
            HOUR,
            to,
            |bson, window, row| {
                dates(bson, flat, window);
                id(bson, "product_id", &row.group[0]);
                id(bson, "interaction_type", &row.group[1]);
                bson.long("total_interactions", row.count);
                bson.long("unique_customers", row.unique);
            },
        )?;
        put(
            &mut self.lines,
            "log_analysis",
            HOUR,
            to,
            |bson, window, row| {
                dates(bson, flat, window);
                id(bson, "level", &row.group[0]);
                bson.long("total_logs", row.count);
            },
        )?;
        if let Some(revenue) = &mut self.revenue {
            put(
                &mut revenue.rows,
                "revenue_analysis",
                HOUR,
                to,
                |bson, window, row| {
                    dates(bson, flat, window);
                    id(bson, "category", &row.group[0]);
                    id(bson, "gender", &row.group[1]);
                    id(bson, "status", &row.group[2]);
                    bson.long("orders", row.count);
                    bson.long("items", long(row.sums[0]));
                    bson.decimal("revenue", money(row.sums[1]));
                    bson.long("buyers", row.unique);
                },
            )?;
        }
        Ok(())
    }
}

/// Writes the changed rows of a view, whose windows are of `size` microseconds.
fn put<const N: usize>(
    table: &mut Table<N>,
    collection: &str,
    size: i64,
    to: &mut Database,
    fill: impl Fn(&mut Bytes, [i64; 2], &Row<N>),
) -> Result<(), Box<dyn Error>> {
    // The text of a window's start is the same for many rows.
    let mut start = (i64::MIN, String::new());
    let mut id = String::new();
    let mut empty = Vec::new();
    table.take_changed(|row| {
        let window = [row.window, row.window + 1].map(|edge| edge * (size / 1_000));
        if start.0 != window[0] {
            start = (
                window[0],
                jiff::Timestamp::from_millisecond(window[0])?.to_string(),
            );
        }
        id.clear();
        id.push_str(&start.1);
        for group in &row.group {
            id.push('|');
            let from = id.len();
            group.push_to(&mut id);
            if id[from..].contains(['|', '\\']) {
                let escaped = id[from..].replace('\\', "\\\\").replace('|', "\\|");
                id.truncate(from);
                write!(id, "{escaped}")?;
            }
        }
        if row.count == 0 {
            empty.push(id.clone());
            return Ok(());
        }
        to.put(collection, &id, |bson| fill(bson, window, row))
    })?;
    to.send()?;
    empty.iter().try_for_each(|id| to.delete(collection, id))
}

fn dates(bson: &mut Bytes, names: [&str; 2], window: [i64; 2]) {
    bson.date(names[0], window[0]);
    bson.date(names[1], window[1]);
}

fn long(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_precision_loss, reason = "a mean is rounded")]
fn mean(sum: i128, count: i64) -> f64 {
    sum as f64 / count as f64
}

fn id(bson: &mut Bytes, name: &str, id: &Id) {
    let mut text = String::with_capacity(36);
    id.push_to(&mut text);
    bson.text(name, &text);
}

/// An amount in billionths, with as many decimals as it needs: two at the least.
fn money(mut billionths: i128) -> Decimal128 {
    let mut scale = 9;
    while scale > 2 && billionths % 10 == 0 {
        billionths /= 10;
        scale -= 1;
    }
    let exponent = (6176 - scale) << 113;
    let sign = u128::from(billionths < 0) << 127;
    Decimal128::from_bytes((sign | exponent | billionths.unsigned_abs()).to_le_bytes())
}
