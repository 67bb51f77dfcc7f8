//! The words by which an answer is understood, in English and French, written as `names::same` compares them.
//!
//! **Invariant:** no word is both a yes and a no.

/// Keys of a JSON answer that speak of a verification: a yes in one of these is a yes, a no is a no, and all else a doubt.
/// "is" and "est" may stand before them.
pub(super) const ASKED: [&str; 15] = [
    "valid",
    "valide",
    "verified",
    "verifie",
    "authentic",
    "authentique",
    "signature",
    "signaturevalid",
    "signaturevalide",
    "validsignature",
    "signatureverified",
    "verification",
    "authenticity",
    "authenticite",
    "authenticated",
];

/// What a key has in it that is about a verification: a no in it is a no.
pub(super) const STEMS: [&str; 5] = ["valid", "verif", "vérif", "authent", "signature"];

/// Keys that any page of the vendor's has, whatever it is about: a no in one of these is a no, a yes is nothing. What they
/// wrap is looked into.
pub(super) const ANYTHING: [&str; 20] = [
    "success",
    "result",
    "resultat",
    "status",
    "statut",
    "state",
    "etat",
    "ok",
    "data",
    "response",
    "message",
    "messages",
    "msg",
    "reason",
    "raison",
    "detail",
    "details",
    "description",
    "warning",
    "warnings",
];

/// Keys of codes: what says no in one of these is a status of HTTP, or a word.
pub(super) const CODES: [&str; 5] = ["code", "statuscode", "httpstatus", "httpcode", "httpstatuscode"];

/// What keys have in them that say no by not being empty.
pub(super) const ERRORS: [&str; 6] = ["error", "erreur", "exception", "invalid", "unverif", "inauth"];

/// What says of itself that something was verified.
pub(super) const CONFIRMED: [&str; 6] = ["valid", "valide", "verified", "verifie", "authentic", "authentique"];

/// A yes in a field that speaks of a verification.
pub(super) const YES: [&str; 10] =
    ["true", "ok", "yes", "oui", "valid", "valide", "verified", "verifie", "authentic", "authentique"];

/// Words that deny, and names of fields that deny by not being empty.
pub(super) const DENIED: [&str; 21] = [
    "invalid",
    "invalide",
    "error",
    "erreur",
    "refused",
    "refuse",
    "refusee",
    "rejected",
    "rejete",
    "rejetee",
    "denied",
    "failed",
    "failure",
    "unverified",
    "unauthorized",
    "forbidden",
    "forged",
    "fake",
    "revoked",
    "mismatch",
    "inauthentic",
];

/// Words that deny in a text that is about the verification, beside [`DENIED`].
pub(super) const NO: [&str; 22] = [
    "false", "faux", "ko", "no", "non", "not", "never", "cannot", "isn", "aren", "doesn", "don", "didn", "wasn",
    "couldn", "pas", "aucun", "aucune", "bad", "wrong", "fail", "echec",
];

/// Words that are neither and make a yes doubtful, and names of fields that do so by not being empty.
pub(super) const DOUBTED: [&str; 18] = [
    "pending",
    "expired",
    "expire",
    "expiree",
    "unknown",
    "inconnu",
    "inconnue",
    "waiting",
    "processing",
    "attente",
    "incomplete",
    "missing",
    "unavailable",
    "undefined",
    "null",
    "none",
    "maybe",
    "unsigned",
];
