//! The files that go with a summary.
