//! A `public_url` with a path of any characters: the door is found below it, and without it.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use url::Url;

use super::{Place, text};

/// Paths as somebody may write them, and as programs that make addresses do.
const PATHS: &[&str] = &[
    "/:caisse",
    "/*tout",
    "/a/:b/*c",
    "/caisse:1/2*3",
    "/{shop}/{*rest}",
    "/boutique été",
    "/%7Bx%7D/100%",
    "/~a!$&'()+,;=@-._",
    "/a|b^c[d]`e\"f<g>",
    "//twice//",
    "/a/../b/./c",
    "/in",
    "/in/in",
    "/invoices",
    "/invoices/livez",
    "/livez",
];

impl Place {
    fn status(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

#[test]
fn a_public_url_may_have_any_path() {
    for path in PATHS {
        let place = Place::new();
        let url = format!("https://hooks.example.com{path}");
        let file = std::fs::read_to_string(place.file()).expect("the configuration");
        let public = format!("[server]\npublic_url = '''{url}'''\n");
        std::fs::write(place.file(), file.replace("[server]\n", &public)).expect("a configuration");
        let checked = place.run("config check");
        assert_eq!(checked.status.code(), Some(0), "{path}: {}", text(&checked.stdout) + &text(&checked.stderr));
        let printed = text(&place.run("url").stdout);
        let told: Url = printed.trim().parse().expect("an address");
        assert_eq!(told.host_str(), Some("hooks.example.com"));

        let service = place.serve();
        let base = told.path().strip_suffix("/in/0123456789abcdef0123").expect("the webhook's address");
        for below in ["", base] {
            assert_eq!(place.status(&format!("{below}/livez")), "200", "{path}");
            assert_eq!(
                place.status(&format!("{below}/in/0123456789abcdef0123?type=validated&orderInternalID=1")),
                "200",
                "{path}"
            );
            assert_eq!(place.status(&format!("{below}/in/wrong")), "404", "{path}");
        }
        assert_eq!(service.stop().0, Some(0), "{path}");
    }
}
