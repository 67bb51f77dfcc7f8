//! Has the system's memory allocator give back large pieces that were freed.
//!
//! glibc learns from each large piece that is freed to keep the next ones, in an arena for each thread: after some calls
//! near the size limit the process held several times as much memory as it used. It can be told otherwise only by the
//! environment that it starts in, so the service starts itself once more (`exec`: the process and its number stay).

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, process::Command};

/// From 128 KiB on a piece is the system's own and goes back when it is freed; small ones stand in two arenas.
const SETTINGS: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "2")];

/// Starts the program once more with these settings, unless somebody has set one of them: an operator, or this function.
/// Where that fails the service runs as it is, and takes more memory.
pub fn settle() {
    if SETTINGS.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut words = env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("tillhook"));
    let _ = Command::new(program).arg0(name).args(words).envs(SETTINGS).exec();
}
