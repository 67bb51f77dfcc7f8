//! `tillhook pos` as it is started, against the stand-in for the till as it is started.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use super::{Place, program, text};

/// The key of the stand-in, chosen so that it is found wherever it should not be.
const KEY: &str = "CANARY-key-4242";

/// A stand-in for the till, and a place with a configuration that names it.
struct Shop {
    till: Child,
    /// Kept open: the stand-in ends when nobody listens to it any more.
    _said: Lines<BufReader<ChildStdout>>,
    origin: String,
    place: Place,
}

impl Shop {
    fn open() -> Self {
        let place = Place::new();
        let mut command = program(place.dir.path());
        command.args(["pos", "sandbox", "--listen", "127.0.0.1:0", "--key", KEY, "--password", "CANARY password"]);
        let mut till = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program");
        let mut said = BufReader::new(till.stdout.take().expect("its output")).lines();
        let api = |line: std::io::Result<String>| Some(line.ok()?.trim().strip_prefix("api ")?.trim().to_owned());
        let api = said.by_ref().find_map(api).expect("where it answers");
        let origin = api.trim_end_matches("/workers/").to_owned();
        let shop = Self { till, _said: said, origin, place };
        shop.configure("dupont");
        shop
    }

    fn configure(&self, shop: &str) {
        let Self { origin, place, .. } = self;
        place.configure(&format!(
            "[shop.{shop}.api]\nhost = \"{origin}\"\nshop_id = \"4242\"\nkey = {{ env = \"TILL_KEY\" }}\n"
        ));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(self.place.dir.path());
        command.arg("--config").arg(self.place.file()).arg("pos").args(words).env("TILL_KEY", KEY);
        command.env("TILLHOOK_LOG", "trace");
        command
    }

    /// Carries a command out; whatever is logged, the key is not in it.
    fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().expect("the program");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("CANARY"), "{words:?}: {said}");
        output
    }

    /// What a command that succeeds says.
    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The state of an order in the list that `more` asks for; `None` where it is not in it.
    fn state_of(&self, order: &str, more: &[&str]) -> Option<String> {
        let listed = self.ok(&[&["orders", "--from", "yesterday", "--json"], more].concat());
        let page: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let found = page["data"].as_array()?.iter().find(|listed| listed["orderInternalID"] == order)?;
        let shown = column_of(&self.ok(&[&["orders", "--from", "yesterday"], more].concat()), order);
        assert_eq!(shown.as_deref(), found["tillhook_state"].as_str(), "the table and the JSON agree");
        shown
    }

    /// What is said where it does not.
    fn fails(&self, exit: i32, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.till.kill();
        let _ = self.till.wait();
    }
}

/// The state that a table of orders shows for this one.
fn column_of(table: &str, order: &str) -> Option<String> {
    let at = table.lines().next()?.find("STATE")?;
    let line = table.lines().find(|line| line.starts_with(order))?;
    line.chars().skip(at).collect::<String>().split("  ").next().map(str::to_owned)
}

/// Answers each call with this page and says that all is well; returns where.
fn page_at(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut head = BufReader::new(socket.try_clone().expect("the socket")).lines();
            while head.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let length = page.len();
            // Whoever asked may have gone.
            let _ = write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}");
        }
    });
    origin
}

const RESOURCES: [&str; 14] = [
    "articles",
    "departments",
    "department-groups",
    "customers",
    "variations",
    "delivery-methods",
    "payment-methods",
    "cash-boxes",
    "delivery-zones",
    "relay-points",
    "discounts",
    "users",
    "tables",
    "pending",
];

#[test]
fn every_list_can_be_read_and_is_had_as_the_till_writes_it() {
    let shop = Shop::open();
    for resource in RESOURCES {
        shop.ok(&["list", resource]);
    }
    let articles = shop.ok(&["list", "articles"]);
    let ids: Vec<&str> = articles.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(["ID", "12", "15", "42"].iter().all(|id| ids.contains(id)), "{articles}");
    let first = articles.lines().find(|line| line.starts_with("1 ")).expect("article 1");
    assert!(first.ends_with("idRayon 1") && !first.contains(" id 1"), "its department has the same number: {first}");
    let customers = shop.ok(&["list", "customers"]);
    assert!(customers.contains("Camille Moreau          email camille.moreau@example.com, "), "{customers}");
    assert!(shop.ok(&["list", "articles", "--format", "json"]).trim_start().starts_with(['[', '{']));
    assert!(shop.ok(&["list", "customers", "--format", "html"]).contains("<table"));
    assert!(shop.ok(&["list", "users", "--format", "csv"]).lines().count() > 1);
    assert!(shop.fails(2, &["list", "plus"]).contains("payment-methods"), "the names are listed");
}

#[test]
fn a_sale_is_recorded_edited_paid_and_then_no_longer_changed() {
    let shop = Shop::open();
    let sold = shop.ok(&[
        "sale",
        "--payment",
        "quote",
        "--item",
        "12:2:Pizza 4 fromages:14.50:3,8",
        "--free",
        "9.99:Vente libre",
    ]);
    assert!(sold.contains("is recorded: quote, not validated and not paid"), "{sold}");
    assert!(sold.contains("`tillhook pos orders --from today --validated false` lists it"), "{sold}");
    let order = sold.split_whitespace().nth(1).expect("an id").to_owned();
    assert_eq!(shop.state_of(&order, &["--validated", "false"]).as_deref(), Some("quote"));
    assert_eq!(shop.state_of(&order, &[]), None, "quotes are listed when they are asked for");
    let edited =
        shop.ok(&["edit", &order, "--payment", "invoice", "--department", "5:9.99:Rayon", "--customer", "123"]);
    assert!(edited.starts_with(&format!("Order {order} is recorded: invoice issued, not paid in full")), "{edited}");
    let listed = shop.ok(&["orders", "--from", "yesterday"]);
    assert!(listed.lines().any(|line| line.starts_with(&order) && line.contains("48.98")), "{listed}");
    assert_eq!(shop.state_of(&order, &[]).as_deref(), Some("invoice"));
    let refused = shop.fails(1, &["edit", &order, "--payment", "invoice", "--free", "1:Late"]);
    assert!(refused.starts_with("error: the till refuses: "), "{refused}");
    let paid = shop.ok(&["edit", &order, "--payment", "2"]);
    assert!(paid.contains("invoice issued, paid"), "{paid}");
    assert_eq!(shop.state_of(&order, &[]).as_deref(), Some("paid"));
    let back = shop.ok(&["sale", "--payment", "91", "--item", "12"]);
    assert_eq!(shop.state_of(back.split_whitespace().nth(1).expect("an id"), &[]).as_deref(), Some("refund"));
    let json = shop.ok(&["orders", "--from", "today", "--validated", "true", "--json"]);
    let page: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!(page["data"][0]["type"], "terminated", "as the till writes it");
    assert_eq!(page["data"][0]["tillhook_state"], "paid");
}

#[test]
fn a_dry_run_shows_the_request_with_the_key_masked_and_sends_nothing() {
    let shop = Shop::open();
    let said = shop.ok(&[
        "sale",
        "--dry-run",
        "--payment",
        "2",
        "--amount",
        "20.00",
        "--item",
        "12",
        "--client-nom",
        "Durand",
        "--client-prenom",
        "Zoé",
        "--client-codebarre",
        "CUST-0001",
        "--delivery",
        "on-site",
        "--covers",
        "4",
        "--date",
        "2026-11-21",
    ]);
    let lines: Vec<String> = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        format!("POST {}/workers/webapp.php", shop.origin),
        "idboutique 4242".into(),
        "shopID 4242".into(),
        "key ********".into(),
        "payment 2".into(),
        "paymentAmount 20.00".into(),
        "deliveryMethod 2".into(),
        "numcouverts 4".into(),
        "dateValeur 1795215600".into(),
        "client[nom] Durand".into(),
        "client[prenom] Zoé".into(),
        "client[codeBarre] CUST-0001".into(),
        "itemsList[] 12".into(),
        "Nothing was sent.".into(),
    ];
    assert_eq!(lines, expected);
    let edited = shop.ok(&["edit", "7", "--dry-run", "--payment", "invoice"]);
    assert!(edited.contains("/workers/editOrder.php\n"), "{edited}");
    assert_eq!(shop.ok(&["orders", "--from", "today"]), "no orders\n");
}

#[test]
fn what_can_be_seen_to_be_wrong_is_not_sent() {
    let shop = Shop::open();
    for (words, reason) in [
        (&["--payment", "invoice", "--free", "9.99:a_b"][..], "contains `_`"),
        (&["--payment", "invoice", "--free", "-9.99:Item"], "the price -9.99 is negative"),
        (&["--payment", "invoice", "--item", "12:1:Pizza:9:1,2,3,4,5,6"], "6 variations are too many"),
        (&["--payment", "invoice", "--item", "12:1:Pizza"], "a title needs a price"),
        (&["--payment", "invoice", "--free", "9,99:Item"], "`9,99` is no amount: write one such as 14.50"),
        (&["--payment", "invoice", "--item", "12:1e3"], "`1e3` is no quantity"),
        (&["--payment", "invoice", "--free", "9.999:Item"], "`9.999` has more than two decimals"),
        (&["--payment", "cash", "--item", "12"], "write quote, invoice, or the id of a payment method"),
        (&["--item", "12"], "nothing is said about the payment"),
        (&["--payment", "invoice", "--amount", "3", "--item", "12"], "an amount is paid by no method"),
        (&["--payment", "2", "--amount", "-3", "--item", "12"], "the amount paid, -3, is negative"),
        (&["--payment", "invoice"], "there is nothing in the sale"),
        (&["--payment", "invoice", "--item", "12", "--delivery", "7"], "write one of take_away (0)"),
        (
            &["--payment", "invoice", "--item", "12", "--customer", "Zoé"],
            "`Zoé` is no whole number: write one such as 12",
        ),
        (&["--payment", "invoice", "--item", "12", "--customer", "1", "--client-nom", "Durand"], "cannot be used with"),
    ] {
        let said = shop.fails(2, &[&["sale"], words].concat());
        assert!(said.contains(reason), "{words:?}: {said}");
    }
    let said = shop.fails(2, &["edit", "abc", "--payment", "2"]);
    assert!(
        said.contains("`abc` is no internal id: write the number that `tillhook pos sale` answered with"),
        "{said}"
    );
    assert_eq!(shop.ok(&["orders", "--from", "today"]), "no orders\n");
    let noted = text(&shop.run(&["orders", "--from", "today"]).stderr);
    assert!(noted.contains("a till may list its quotes only when asked for them: --validated false"), "{noted}");
}

#[test]
fn a_report_goes_to_a_file_that_is_not_there_yet() {
    let shop = Shop::open();
    shop.ok(&["sale", "--payment", "2", "--item", "12"]);
    let said = shop.ok(&["report", "--day", "today", "--format", "pdf", "-o", "report.pdf"]);
    assert!(said.starts_with("report.pdf: the till's report of "), "{said}");
    let file = shop.place.dir.path().join("report.pdf");
    assert!(fs::read(&file).expect("a file").starts_with(b"%PDF-"));
    let refused = shop.fails(4, &["report", "--day", "today", "--format", "pdf", "-o", "report.pdf"]);
    assert!(refused.contains("is there already") && refused.contains("--force"), "{refused}");
    for format in ["xls", "csv", "fec", "saft", "std"] {
        shop.ok(&["report", "--day", "today", "--format", format, "-o", "report.pdf", "--force"]);
    }
    assert!(shop.ok(&["report", "--day", "today"]).contains("<"), "the web page may go to standard output");
    assert!(shop.fails(2, &["report", "--format", "csv"]).contains("name a file with -o FILE"));
    assert!(
        shop.ok(&["report", "--day", "today", "--format", "csv", "-o", "-"]).starts_with("date;"),
        "it may be passed on"
    );
}

#[test]
fn a_page_in_place_of_a_report_is_refused_or_named_as_far_as_it_can_be_told() {
    let place = Place::new();
    let asked = |page: &'static str, words: &str| {
        let origin = page_at(page);
        place.configure(&format!("[shop.dupont.api]\nhost = \"{origin}\"\nshop_id = \"1\"\nkey = \"CANARY\"\n"));
        let output = place.run(words);
        assert!(!text(&output.stderr).contains("CANARY"));
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let sign_in = "<!doctype html><title>Connexion</title><form><input type=\"password\" value=\"CANARY\"></form>";
    for words in ["pos report", "pos list articles --format html"] {
        let (exit, said, noted) = asked(sign_in, words);
        assert_eq!((exit, said.as_str()), (Some(1), ""), "{words}");
        assert!(
            noted.contains("a page to sign in at") && noted.contains("fix: ") && noted.contains("pos login"),
            "{noted}"
        );
        assert_eq!(asked("Unknown shop", words).0, Some(1));
        let (exit, said, noted) = asked("<b>Warning</b>: something", words);
        assert_eq!((exit, said.as_str()), (Some(0), "<b>Warning</b>: something"), "{words}");
        assert!(noted.starts_with("note: there is no table in this page") && noted.lines().count() == 1, "{noted}");
        assert_eq!(asked("<table><tr><td>1</td></tr></table>", words).2, "", "{words}");
    }
    let (exit, _, noted) = asked("Unknown shop", "pos report --format pdf -o report.pdf");
    assert!(exit == Some(1) && noted.contains("it is no PDF"), "{noted}");
    assert!(!place.dir.path().join("report.pdf").exists());
    let (exit, _, noted) = asked(sign_in, "pos orders --from today");
    assert!(exit == Some(1) && noted.contains("web page (HTTP 200)") && noted.contains("pos login"), "{noted}");
}

#[test]
fn a_wrong_key_is_in_the_tills_words_and_what_to_do_in_ours() {
    let shop = Shop::open();
    let api =
        |key: &str| format!("[shop.dupont.api]\nhost = \"{}\"\nshop_id = \"4242\"\nkey = \"{key}\"\n", shop.origin);
    shop.place.configure(&api("another"));
    for words in [
        &["list", "users"][..],
        &["orders", "--from", "today"],
        &["report"],
        &["sale", "--payment", "2", "--item", "12"],
    ] {
        let said = shop.fails(1, words);
        assert!(said.starts_with("error: the till refuses: unknown shop or wrong key\n  fix: "), "{said}");
        assert!(said.contains("`tillhook pos login` gets one"), "{said}");
    }
}

#[test]
fn signing_in_gives_a_table_and_a_key_that_work() {
    let shop = Shop::open();
    let sign_in = |more: &[&str], password: &str| {
        let host = shop.origin.as_str();
        let mut command = shop.command(&[&["login", "--host", host, "--login", "sandbox@example.com"], more].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
        writeln!(child.stdin.take().expect("its input"), "{password}").expect("a line");
        child.wait_with_output().expect("an end")
    };
    let output = sign_in(&["--write", "till_key", "--shop", "dupont"], "CANARY password");
    let (said, noted) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{noted}");
    assert!(!(said.clone() + &noted).contains("CANARY"), "the key is in the file alone: {said} {noted}");
    let file = shop.place.dir.path().join("till_key");
    assert_eq!(fs::read_to_string(&file).expect("a file"), format!("{KEY}\n"));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    shop.place.configure(&said);
    shop.ok(&["list", "users"]);

    let printed = sign_in(&[], "CANARY password");
    assert!(text(&printed.stdout).starts_with("[shop.shop.api]\nhost    = \"http://127.0.0.1:"));
    assert!(text(&printed.stdout).ends_with(&format!("\n{KEY}\n")) && !text(&printed.stderr).contains("CANARY"));
    let again = sign_in(&["--write", "till_key"], "CANARY password");
    assert_eq!(again.status.code(), Some(4), "the file is not replaced");
    let wrong = sign_in(&[], "CANARY wrong");
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stderr);
    assert!(said.starts_with("error: the till refuses: ") && !said.contains("CANARY"), "{said}");
    assert!(said.contains("fix: use the login and the password with which you open the till"), "{said}");
}

#[test]
fn without_an_api_it_is_said_how_to_get_one_and_with_several_which_is_meant() {
    let place = Place::new();
    let output = place.run("pos orders --from today");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("`[shop.NAME.api]`") && said.contains("fix: ") && said.contains("`tillhook pos login`"),
        "{said}"
    );

    let table = |shop: &str| format!("[shop.{shop}.api]\nhost = \"kash.click\"\nshop_id = \"1\"\nkey = \"CANARY\"\n");
    place.configure(&format!("[shop.martin]\ntoken = \"0123456789abcdef-m\"\n{}{}", table("dupont"), table("martin")));
    let several = place.run("pos list users");
    assert_eq!(several.status.code(), Some(2));
    assert!(text(&several.stderr).contains("give --shop, one of: dupont, martin"), "{}", text(&several.stderr));
    let dry = place.run("pos sale --payment invoice --item 12 --dry-run --shop martin");
    assert!(text(&dry.stdout).starts_with("POST https://kash.click/workers/webapp.php\n"), "{}", text(&dry.stderr));
    place.configure(&format!("[shop.martin]\ntoken = \"0123456789abcdef-m\"\n{}", table("martin")));
    let none = place.run("pos list users --shop dupont");
    assert!(text(&none.stderr).contains("the shop `dupont` has no"), "{}", text(&none.stderr));
}

#[test]
fn a_till_that_is_not_there_is_named_without_the_key() {
    let shop = Shop::open();
    shop.place.configure("[shop.dupont.api]\nhost = \"http://127.0.0.1:1\"\nshop_id = \"1\"\nkey = \"CANARY\"\n");
    let said = shop.fails(1, &["sale", "--payment", "invoice", "--item", "12"]);
    assert!(said.contains("the till cannot be asked: no connection"), "{said}");
}
