//! A contestant that goes on until it is told to stop.

use super::measure::cpu_of_tree;
use std::error::Error;
use std::process::{Child, Command};

/// A process that is stopped when it is not needed any more.
pub struct Running(Child);

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Running, Box<dyn Error>> {
        Ok(Running(command.spawn()?))
    }

    /// Processor time so far of it and all its children, in seconds.
    pub fn cpu(&self) -> f64 {
        cpu_of_tree(self.0.id())
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.stop();
    }
}
