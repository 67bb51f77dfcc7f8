//! The one test binary, by capability.
