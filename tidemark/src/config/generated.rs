//! What follows from the command line alone: completions of shells, and the manual.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::cli::Cli;
use crate::print;

/// Something to print, or files to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated {
    /// A script that completes command lines in this shell.
    Completions(Shell),
    /// The page of the program, or all pages into a folder.
    Manual(Option<PathBuf>),
}

impl Generated {
    /// Prints it on standard output, or writes the files.
    ///
    /// # Errors
    /// When there is no such folder, or no space. Whoever has read enough of the output
    /// and closes it is no error.
    pub fn write(&self) -> io::Result<()> {
        let mut text = Vec::new();
        match self {
            Generated::Completions(shell) => {
                clap_complete::generate(*shell, &mut Cli::command(), "tidemark", &mut text);
            }
            Generated::Manual(None) => clap_mangen::Man::new(Cli::command()).render(&mut text)?,
            Generated::Manual(Some(folder)) => {
                std::fs::create_dir_all(folder)?;
                return clap_mangen::generate_to(Cli::command(), folder);
            }
        }
        print::answer(&text)
    }
}
