// SPDX-License-Identifier: Apache-2.0

//! Keeps the terminal from showing what is typed or scanned: it would tear the rows of the ports, which are drawn again
//! and again.

#[cfg(unix)]
pub use unix::Silence;

/// Elsewhere what is typed is shown.
#[cfg(not(unix))]
pub struct Silence;

#[cfg(not(unix))]
impl Silence {
    /// Nothing is changed.
    pub const fn begin() -> Option<Self> {
        None
    }

    /// Nothing was changed.
    pub const fn end() {}
}

#[cfg(unix)]
mod unix {
    use std::io::{self, IsTerminal};
    use std::sync::{Mutex, PoisonError};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// How the terminal was before.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// The terminal on standard input does not show what is typed, until this is dropped.
    pub struct Silence;

    impl Silence {
        /// `None` where standard input is no terminal.
        pub fn begin() -> Option<Self> {
            let keyboard = io::stdin();
            if !keyboard.is_terminal() {
                return None;
            }
            let before = tcgetattr(&keyboard).ok()?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
            tcsetattr(&keyboard, OptionalActions::Now, &silent).ok()?;
            Some(Self)
        }

        /// For a program that ends without dropping anything.
        pub fn end() {
            let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(before) = before {
                // A terminal that is gone needs nothing.
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
            }
        }
    }

    impl Drop for Silence {
        fn drop(&mut self) {
            Self::end();
        }
    }
}
