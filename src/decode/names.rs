//! What the fields are called, in the till's French and English.
//!
//! The documented name stands first in each list and wins over the others. The names are written without the things that
//! [`same`] ignores: capitals, accents, `_`, `-` and spaces.

use serde_json::{Map, Value};

/// Whether a name that was sent is the one we know.
pub fn same(sent: &str, known: &str) -> bool {
    let mut known = known.chars();
    sent.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).all(|c| known.next() == Some(fold(c)))
        && known.next().is_none()
}

fn fold(c: char) -> char {
    match c {
        'é' | 'è' | 'ê' | 'ë' | 'É' | 'È' => 'e',
        'à' | 'â' | 'À' => 'a',
        'î' | 'ï' => 'i',
        'ô' => 'o',
        'ù' | 'û' => 'u',
        'ç' => 'c',
        _ => c.to_ascii_lowercase(),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $list:ident = [$($name:literal),* $(,)?];)*) => {
        $($(#[$doc])* pub(super) const $list: &[&str] = &[$($name),*];)*

        #[cfg(test)]
        const ALL: &[&[&str]] = &[$($list),*];
    };
}

/// Whether a field is a secret of the till: what opens its doors must reach nobody (contract §5).
pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| same(name, secret))
}

/// Takes the till's secrets out, wherever they stand.
pub(super) fn forget_secrets(fields: &mut Map<String, Value>) {
    fields.retain(|name, _| !is_secret(name));
    fields.values_mut().for_each(forget_within);
}

fn forget_within(value: &mut Value) {
    match value {
        Value::Object(fields) => forget_secrets(fields),
        Value::Array(list) => list.iter_mut().for_each(forget_within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The fields that are the till's alone: what has none of them is no call of a till. `id`, `name` and the like are
/// anybody's.
pub(super) const CALL: &[&[&str]] = &[
    TYPE,
    VERIFICATION_URL,
    CASH_BOX_ID,
    ORDER_ID,
    INTERNAL_ID,
    INVOICE_URL,
    ORDER_TOTAL,
    ORDER_VAT,
    VAT_LINES,
    ITEMS,
    CUSTOMER,
    CUSTOMER_ID,
    DELIVERY_METHOD,
    IS_REFUND,
    CREATED,
    VALIDATED,
    VALUE_DATE,
    OPENED,
    CLOSED,
];

names! {
    // Every call.
    TYPE = ["type"];
    TEST = ["tillhooktest"];
    VERIFICATION_URL = ["signatureverificationurl"];
    SECRETS = ["key", "apikey", "password", "passwd", "motdepasse", "token", "signature", "secret"];
    ORDER_TYPES = ["validated", "terminated"];
    CASH_BOX_TYPES = ["cashboxopen", "cashboxclose"];
    CASH_BOX_ID = ["cashboxid", "idcaisse", "caisseid"];

    // An order.
    ORDER_ID = ["orderid", "ordernumber", "idcommande", "commandeid", "numerocommande"];
    INTERNAL_ID = ["orderinternalid", "internalorderid", "internalid", "idinterne"];
    INVOICE_URL = ["pdfinvoice", "invoicepdf", "facturepdf", "pdffacture"];
    ORDER_TOTAL = ["price", "prix", "total", "totalttc", "prixttc", "montant", "montantttc", "amount"];
    ORDER_VAT = ["vat", "tva", "totalvat", "vattotal", "totaltva", "montanttva", "vatamount"];
    VAT_LINES = ["vats", "tvas", "vatlines", "taxes", "vat", "tva"];
    VAT_TABLES = ["vats", "tvas", "vatlines", "taxes"];
    ITEMS = ["items", "articles", "lignes", "lines", "produits", "products"];
    CUSTOMER = ["customer", "client"];
    CUSTOMER_ID = ["clientid", "customerid", "idclient"];
    DELIVERY_METHOD = ["deliverymethod", "modelivraison", "methodelivraison"];
    IS_REFUND = ["isrefund", "refund", "estremboursement", "remboursement"];
    CREATED = ["creationdate", "datecreation", "created", "createdat"];
    VALIDATED = ["validationdate", "datevalidation", "validated", "validatedat"];
    VALUE_DATE = ["valuedate", "datevaleur"];

    // A line of an order.
    ITEM_ID = ["id", "idarticle", "articleid", "itemid", "idproduit", "productid"];
    LABEL = ["titre", "title", "label", "libelle", "nom", "name", "designation"];
    QUANTITY = ["qte", "quantite", "qty", "quantity"];
    UNIT_PRICE = ["prixunitaire", "unitprice", "pu", "puttc", "prixunitairettc", "prix", "price", "prixttc", "pricettc"];
    LINE_TOTAL = ["total", "totalttc", "montant", "montantttc", "amount", "linetotal", "prixtotal", "totalprice"];
    ITEM_RATE = ["tauxtva", "vatrate", "tvataux", "taux", "rate", "taxrate", "tva", "vat"];

    // A VAT rate. `tva` names the rate or the amount, whichever the other names leave open.
    RATE = ["taux", "rate", "tauxtva", "tvataux", "vatrate", "taxrate", "percent", "pourcentage"];
    NET = ["ht", "net", "base", "baseht", "montantht", "totalht", "totalnet", "netamount"];
    GROSS = ["ttc", "gross", "montantttc", "totalttc", "totalgross", "grossamount"];
    VAT_OR_RATE = ["tva", "vat"];
    VAT_AMOUNT = ["montanttva", "totaltva", "vatamount", "totalvat", "taxamount", "montant", "amount"];

    // A customer.
    PERSON_ID = ["id", "clientid", "idclient", "customerid"];
    FIRST_NAME = ["prenom", "firstname", "givenname"];
    LAST_NAME = ["nom", "lastname", "surname", "familyname", "name", "fullname"];
    COMPANY = ["societe", "company", "companyname", "raisonsociale", "entreprise", "nomsociete"];
    COMPANY_NUMBER = ["numtva", "numerotva", "tvaintra", "tvaintracommunautaire", "vatnumber", "vatid", "vat",
                      "rcs", "siret", "siren", "registrationnumber", "companynumber"];
    EMAIL = ["email", "mail", "courriel", "emailaddress"];
    PHONE = ["telephone", "phone", "tel", "phonenumber", "mobile", "portable"];
    LINE_1 = ["adresseligne1", "address", "adresse", "address1", "adresse1", "addressline1", "line1", "street", "rue"];
    LINE_2 = ["adresseligne2", "address2", "adresse2", "addressline2", "line2", "complement"];
    NOTE = ["commentaireadresse", "addresscomment", "addressnote"];
    POSTCODE = ["codepostal", "zip", "postcode", "postalcode", "zipcode", "cp"];
    CITY = ["ville", "city", "town"];
    COUNTRY = ["pays", "country", "countrycode"];

    // A cash box.
    OPENED = ["opened", "ouverture", "dateouverture", "openedat"];
    CLOSED = ["closed", "fermeture", "cloture", "datefermeture", "datecloture", "closedat"];
    TAKINGS = ["total"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_accents_and_separators_do_not_matter() {
        for sent in ["orderInternalID", "order_internal_id", "ORDER-INTERNAL-ID", "orderinternalid"] {
            assert!(same(sent, "orderinternalid"), "{sent}");
        }
        assert!(same("Quantité", "quantite") && same("Libellé", "libelle"));
        assert!(!same("orderID", "orderinternalid") && !same("VATs", "vat") && !same("VAT", "vats"));
    }

    #[test]
    fn every_known_name_is_written_as_it_is_compared() {
        for name in ALL.iter().copied().flatten() {
            assert!(same(name, name) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
        }
    }
}
