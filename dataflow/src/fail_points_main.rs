//! The pipeline's program with its fail points, for tests alone: `FAILPOINTS` in its
//! environment says where it is to end, as [`sinks::fail_points`] tells. With
//! `fail-points` as its only argument it prints the names of all there are. `OWN_VIEW` makes
//! it a program with a view of its own, in one of several forms.

use events::Transactions;
use std::process::ExitCode;
use tidemark::views::own::OwnView;
use tidemark::views::view::View;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().skip(1).eq(["fail-points"]) {
        tidemark::fail_points::names().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let _armed = model::arm();
    tidemark::program::main_with(own_views)
}

/// The view `own_sales`, as `OWN_VIEW` says: as it was at first, with a `column` more, with its
/// `group` under another name, or with the column and other `code`, of another version.
fn own_views() -> Vec<OwnView> {
    let Ok(form) = std::env::var("OWN_VIEW") else {
        return Vec::new();
    };
    let view = View::<Transactions>::new("own_sales", "Items sold by product and hour");
    let group = match &*form {
        "group" => "product",
        _ => "product_id",
    };
    let view = view.group_by(group, |sale| sale.product_id.clone());
    let view = match &*form {
        "code" => view.version(2).sum("items", |sale| 2 * sale.quantity),
        _ => view.sum("items", |sale| sale.quantity),
    };
    match &*form {
        "column" | "code" => vec![view.count("sales").into()],
        _ => vec![view.into()],
    }
}
