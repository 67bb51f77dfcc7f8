//! The till's catalogue and its other lists: articles, customers, payment methods and so on.

use serde_json::{Map, Value};

use super::{
    ApiError,
    records::{self, Unread},
};
use crate::{decode::same_name, json::Budget};

/// A list of the till's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// What is sold.
    Articles,
    /// What articles are grouped by.
    Departments,
    /// What departments are grouped by.
    DepartmentGroups,
    /// The customers.
    Customers,
    /// Kinds of an article, such as sizes.
    Variations,
    /// How orders are handed over.
    DeliveryMethods,
    /// How they are paid.
    PaymentMethods,
    /// The cash boxes.
    CashBoxes,
    /// Where is delivered to.
    DeliveryZones,
    /// Where parcels are picked up.
    RelayPoints,
    /// Reductions.
    Discounts,
    /// Who sells.
    Users,
    /// The tables of a restaurant.
    Tables,
    /// Orders that are not finished.
    Pending,
}

impl List {
    /// All of them, in the order of the till's documentation.
    pub const ALL: [Self; 14] = [
        Self::Articles,
        Self::Departments,
        Self::DepartmentGroups,
        Self::Customers,
        Self::Variations,
        Self::DeliveryMethods,
        Self::PaymentMethods,
        Self::CashBoxes,
        Self::DeliveryZones,
        Self::RelayPoints,
        Self::Discounts,
        Self::Users,
        Self::Tables,
        Self::Pending,
    ];

    /// Its name in plain English.
    pub fn word(self) -> &'static str {
        match self {
            Self::Articles => "articles",
            Self::Departments => "departments",
            Self::DepartmentGroups => "department-groups",
            Self::Customers => "customers",
            Self::Variations => "variations",
            Self::DeliveryMethods => "delivery-methods",
            Self::PaymentMethods => "payment-methods",
            Self::CashBoxes => "cash-boxes",
            Self::DeliveryZones => "delivery-zones",
            Self::RelayPoints => "relay-points",
            Self::Discounts => "discounts",
            Self::Users => "users",
            Self::Tables => "tables",
            Self::Pending => "pending",
        }
    }

    /// The pages that have it: the documented one, then one that the vendor's own program calls instead.
    pub(super) fn pages(self) -> &'static [&'static str] {
        match self {
            Self::Articles => &["getPlus.php"],
            Self::Departments => &["getDepartments.php"],
            Self::DepartmentGroups => &["getDepartmentGroups.php", "getDepartmentsGroups.php"],
            Self::Customers => &["getClients.php"],
            Self::Variations => &["getDeclinaisons.php"],
            Self::DeliveryMethods => &["getLivraisons.php"],
            Self::PaymentMethods => &["getPaymentModes.php"],
            Self::CashBoxes => &["getCashbox.php"],
            Self::DeliveryZones => &["getDeliveryZones.php"],
            Self::RelayPoints => &["getRelayDeposit.php"],
            Self::Discounts => &["getDiscounts.php"],
            Self::Users => &["getUsers.php"],
            Self::Tables => &["getTables.php"],
            Self::Pending => &["getPending.php"],
        }
    }
}

/// What a list is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
    /// For people.
    Html,
}

impl ListFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Html];

    /// The till's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }
}

/// A list as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// What could be read, in the till's order.
    pub entries: Vec<Entry>,
    /// What could not.
    pub unread: Vec<Unread>,
}

/// Something in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The till's id of it.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Everything that the till says about it, under the till's names.
    pub fields: Map<String, Value>,
}

/// What an id may be called.
const ID: &[&str] = &["id", "identifiant"];

/// What a name may be called, the likelier first.
const NAME: &[&str] =
    &["nom", "name", "titre", "title", "libelle", "label", "designation", "lastname", "societe", "company", "login"];

/// What stands before the name of a person.
const FIRST_NAME: &[&str] = &["prenom", "firstname"];

/// Reads a list.
pub(super) fn read(answer: Value, budget: &Budget) -> Result<Listing, ApiError> {
    let mut listing = Listing::default();
    for record in records::records(answer)? {
        // `{"1":"Espèces"}`: the till's way to write ids and names alone.
        if let (Some(id), Value::String(name)) = (&record.key, &record.value) {
            listing.entries.push(Entry { id: Some(id.clone()), name: Some(name.clone()), fields: Map::new() });
            continue;
        }
        match records::object(record.value, budget) {
            Ok(fields) => listing.entries.push(entry(record.key, fields)),
            Err(reason) => records::count(&mut listing.unread, reason),
        }
    }
    Ok(listing)
}

fn entry(key: Option<String>, fields: Map<String, Value>) -> Entry {
    let (first, last) = (text(&fields, FIRST_NAME), text(&fields, NAME));
    let name = match (first, last) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (first, last) => last.or(first),
    };
    Entry { id: text(&fields, ID).or(key), name, fields }
}

/// The first of the fields with one of these names that holds a text or a number.
fn text(fields: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let called = |wanted: &str| fields.iter().find(|(name, _)| same_name(name, wanted)).map(|(_, value)| value);
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    names.iter().filter_map(|name| called(name)).find_map(scalar)
}
