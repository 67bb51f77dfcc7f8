//! Why a far side's certificate was refused, in words that say what to do.

use std::{error::Error, io, iter};

use rustls::CertificateError;

/// The words for a certificate that was refused; `None` where `error` is about something else.
pub(super) fn refused(error: &(dyn Error + 'static)) -> Option<String> {
    iter::successors(Some(error), |cause| inside(*cause)).find_map(|cause| match cause.downcast_ref()? {
        rustls::Error::InvalidCertificate(refusal) => Some(words(refusal)),
        _ => None,
    })
}

/// An I/O error does not name what it wraps as its source.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn words(refusal: &CertificateError) -> String {
    match refusal {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody whom this machine trusts (UnknownIssuer); \
             add that authority to the machine's CA certificates"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        // Which name it has, and which was asked for, is left out: the address is a secret.
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host name".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}
