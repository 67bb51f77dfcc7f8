//! Summaries of a period for an accountant: its orders by VAT rate, what is missing, and the files that go with it.

pub mod files;

use crate::{order::Booking, store::Booked};

/// An order as the files of a summary show it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the books count.
    pub booking: Booking,
    /// The customer's name, where there is one.
    pub customer: Option<String>,
    /// The name of its PDF, where that is in the archive.
    pub pdf: Option<String>,
}

impl From<&Booked> for Line {
    fn from(booked: &Booked) -> Self {
        Self {
            booking: booked.booking.clone(),
            customer: booked.order.customer.as_ref().and_then(|customer| customer.name.clone()),
            pdf: booked.pdf.as_ref().map(|file| file.filename.clone()),
        }
    }
}
