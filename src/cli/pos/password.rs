//! A password as it is typed: not shown, and the first line of the input where there is no terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// Shows what is typed again when it is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question is no answer to it.
        tcsetattr(io::stdin(), OptionalActions::Flush, &without)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nothing to be done where the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        let _ = writeln!(io::stderr());
    }
}

/// Whether somebody can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Asks for something that may be seen.
///
/// # Errors
/// When the terminal is gone.
pub fn ask(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}: ")?;
    line()
}

/// Asks for the password, or reads it from the input.
///
/// # Errors
/// When there is nothing to read.
pub fn password() -> io::Result<SecretString> {
    if !is_interactive() {
        return line().map(Into::into);
    }
    write!(io::stderr(), "Password (not shown): ")?;
    let _hidden = Hidden::begin()?;
    line().map(Into::into)
}

/// One line without its end; a password may begin or end with a space.
fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
