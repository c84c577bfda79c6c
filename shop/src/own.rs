//! Views beside those that are built in, for a program of one's own.
//!
//! ```text
//!   fn main() -> ExitCode {
//!       tidemark::program::main_with(|| vec![my_view()])
//!   }
//! ```
//!
//! Such a program is `tidemark` in all else: its command line, its checkpoints, its
//! pages. `examples/own_view` in the project is one.

use dataflow::views::view::View;

/// The views of a program. It is asked for them once for each part that needs to know.
#[derive(Clone, Copy)]
pub struct ProgramViews {
    /// Which of those that are built in it has, by their names.
    pub built_in: fn(&str) -> bool,
    /// Those it adds.
    pub own: fn() -> Vec<View>,
}

impl ProgramViews {
    /// Those that are built in, and `own`.
    pub fn and(own: fn() -> Vec<View>) -> ProgramViews {
        ProgramViews {
            built_in: |_| true,
            own,
        }
    }

    /// Those of the built-in ones alone whose names are wanted.
    pub fn only(built_in: fn(&str) -> bool) -> ProgramViews {
        ProgramViews {
            built_in,
            own: Vec::new,
        }
    }
}
