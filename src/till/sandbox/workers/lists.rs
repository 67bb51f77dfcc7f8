//! The fourteen documented lists, and the two that the vendor's own client program asks for besides.
//!
//! Field names are the till's own where a page shows one (§3 of pos-api), else French as there.

use super::{
    super::{
        answer::Answer,
        book::Book,
        catalogue::{CASH_BOXES, METHODS, TABLES, VARIATIONS},
        params::Params,
        refusal::Refusal,
        ticket::{Stage, Ticket},
    },
    table::Table,
};
use crate::till::order::TillCustomer;

/// The endpoints.
pub(super) const NAMES: &[&str] = &[
    "getPlus.php",
    "getDepartments.php",
    "getDepartmentGroups.php",
    "getDepartmentsGroups.php",
    "getClients.php",
    "getDeclinaisons.php",
    "getLivraisons.php",
    "getLivreurs.php",
    "getPaymentModes.php",
    "getCashbox.php",
    "getDeliveryZones.php",
    "getRelayDeposit.php",
    "getDiscounts.php",
    "getUsers.php",
    "getTables.php",
    "getPending.php",
];

/// The delivery methods, in the order of their codes (pos-api §1).
const DELIVERY_METHODS: [&str; 7] =
    ["À emporter", "À livrer", "Sur place", "Service au volant", "Vente au comptoir", "Point relai", "À expédier"];

/// The list of this name, in the format that is asked for (JSON where none is).
pub(super) fn list(book: &Book, endpoint: &str, params: &Params) -> Result<Answer, Refusal> {
    let table = match endpoint {
        "getPlus.php" => articles(book),
        "getDepartments.php" => departments(book),
        "getDepartmentGroups.php" | "getDepartmentsGroups.php" => groups(),
        "getClients.php" => customers(book),
        "getDeclinaisons.php" => named("Déclinaisons", VARIATIONS.iter().copied()),
        "getLivraisons.php" => named("Modes de livraison", (0..).zip(DELIVERY_METHODS)),
        "getLivreurs.php" => named("Livreurs", [(1, "Sacha"), (2, "Noémie")]),
        "getPaymentModes.php" => payment_methods(),
        "getCashbox.php" => cash_boxes(),
        "getDeliveryZones.php" => named("Zones de livraison", [(1, "Centre-ville"), (2, "Faubourgs")]),
        "getRelayDeposit.php" => named("Points relais", [(1, "Kiosque de la gare")]),
        "getDiscounts.php" => discounts(),
        "getUsers.php" => users(book),
        "getTables.php" => tables(),
        "getPending.php" => pending(book),
        other => return Err(Refusal::unknown("list", other)),
    };
    table.answer(params.text("format").unwrap_or("json"))
}

fn named<'a>(title: &'static str, entries: impl IntoIterator<Item = (u64, &'a str)>) -> Table {
    let rows = entries.into_iter().map(|(id, name)| vec![id.to_string(), name.to_owned()]);
    Table { title, columns: &["id", "titre"], rows: rows.collect() }
}

fn articles(book: &Book) -> Table {
    let rows = book.catalogue.articles().iter().map(|it| {
        vec![
            it.id.to_string(),
            it.title.to_owned(),
            it.price.to_string(),
            it.rate.to_string(),
            it.department.to_string(),
        ]
    });
    Table { title: "Articles", columns: &["id", "titre", "prix", "tauxTVA", "idRayon"], rows: rows.collect() }
}

fn departments(book: &Book) -> Table {
    let rows = book
        .catalogue
        .departments()
        .iter()
        .map(|it| vec![it.id.to_string(), it.title.to_owned(), it.rate.to_string(), it.group.to_string()]);
    Table { title: "Rayons", columns: &["id", "titre", "tauxTVA", "idGroupe"], rows: rows.collect() }
}

fn groups() -> Table {
    named("Groupes de rayons", [(1, "Boutique"), (2, "Salle")])
}

fn customers(book: &Book) -> Table {
    let row = |who: &TillCustomer| {
        let vat_number = who.vat_number.clone().unwrap_or_default();
        let texts =
            [&who.id, &who.last_name, &who.first_name, &who.email, &who.phone, &who.address, &who.postcode, &who.city];
        texts.into_iter().cloned().chain([vat_number]).collect()
    };
    let columns = &["id", "nom", "prenom", "email", "telephone", "adresseligne1", "codepostal", "ville", "numtva"];
    Table { title: "Clients", columns, rows: book.catalogue.customers().map(row).collect() }
}

fn payment_methods() -> Table {
    let rows =
        METHODS.iter().map(|it| vec![it.id.to_string(), it.title.to_owned(), u8::from(it.is_refund).to_string()]);
    Table { title: "Modes de paiement", columns: &["id", "titre", "remboursement"], rows: rows.collect() }
}

fn cash_boxes() -> Table {
    let rows = CASH_BOXES.iter().map(|id| vec![id.to_string(), format!("Caisse {id}")]);
    Table { title: "Caisses", columns: &["id", "titre"], rows: rows.collect() }
}

fn discounts() -> Table {
    let rows = vec![vec!["1".to_owned(), "Personnel".to_owned(), "10".to_owned()]];
    Table { title: "Remises", columns: &["id", "titre", "pourcentage"], rows }
}

fn users(book: &Book) -> Table {
    let rows = book.catalogue.users().map(|(id, login)| vec![id.to_string(), login.to_owned()]);
    Table { title: "Utilisateurs", columns: &["id", "login"], rows: rows.collect() }
}

fn tables() -> Table {
    let rows = TABLES.map(|id| vec![id.to_string(), format!("Table {id}")]);
    Table { title: "Tables", columns: &["id", "titre"], rows: rows.collect() }
}

/// What is not paid in full, quotes among them.
fn pending(book: &Book) -> Table {
    let row = |ticket: &Ticket| {
        let order = &ticket.order;
        vec![
            order.internal_id.clone(),
            order.order_id.clone(),
            ticket.stage.as_str().to_owned(),
            order.total().to_string(),
            ticket.owed().to_string(),
        ]
    };
    let rows = book.sales.tickets().filter(|ticket| ticket.stage < Stage::Paid).map(row).collect();
    Table { title: "Commandes en cours", columns: &["id", "numero", "etat", "total", "reste"], rows }
}
