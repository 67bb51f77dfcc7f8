#!/usr/bin/env bash
# Makes docs/images/mail-*.png: the mails as a reader sees them, wide and narrow, by day and by night. Run by hand on
# Debian; it gets Chromium by itself. The mails come out of the program, by `tillhook render`.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-liberation)
/usr/bin/python3 -c "import PIL" 2>/dev/null || missing+=(python3-pil)
command -v curl >/dev/null || missing+=(curl)
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
cargo build --locked
tillhook=$PWD/target/debug/tillhook
images=$PWD/docs/images
sources=$PWD
mkdir -p "$images"

work=$(mktemp -d)
serving=
finish() {
    if [ -n "$serving" ]; then kill "$serving" && wait "$serving" || true; fi
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

cat >tillhook.toml <<'TOML'
[server]
listen = "127.0.0.1:8199"
[storage]
path = "data"
[shop.dupont]
name = "Boulangerie Dupont"
token = "token-of-the-screenshots"
fetch_invoices = false
[smtp]
preset = "ovh"
from = "Boulangerie Dupont <caisse@dupont.example>"
[sink.fr]
type = "email"
to = ["compta@cabinet-martin.example"]
on = ["cashbox.closed"]
locale = "fr"
attach = ["invoice"]
[sink.en]
type = "email"
to = ["compta@cabinet-martin.example"]
on = ["cashbox.closed"]
locale = "en"
attach = ["invoice"]
[sink.digest-fr]
type = "email"
to = ["compta@cabinet-martin.example"]
locale = "fr"
digest = { every = "daily 23:55" }
attach = ["vat.csv", "invoices.xlsx", "invoices.zip"]
[sink.digest-en]
type = "email"
to = ["compta@cabinet-martin.example"]
locale = "en"
digest = { every = "daily 23:55" }
attach = ["vat.csv", "invoices.xlsx", "invoices.zip"]
TOML
"$tillhook" serve 2>serve.log &
serving=$!
for _ in $(seq 50); do
    if curl -fs http://127.0.0.1:8199/readyz >/dev/null; then break; fi
    sleep 0.1
done

announce() { curl -fsS -o /dev/null --data-binary @- http://127.0.0.1:8199/in/token-of-the-screenshots; }
announce <<'JSON'
{"type": "terminated", "orderID": "20261121042", "orderInternalID": "8841207", "price": "1251.30", "VAT": "115.12",
 "validationDate": "2026-11-21 14:03:10", "cashBoxID": "1", "deliveryMethod": "2", "isRefund": false,
 "customer": {"firstname": "Zoé", "lastname": "Durand"},
 "items": [{"title": "Menu midi", "quantity": 2, "price": "12.90", "vatRate": 10},
           {"title": "Pièce montée, 80 parts, nougatine et choux à la vanille", "quantity": 1, "price": "1207.50", "vatRate": 10},
           {"title": "Chablis, verre", "quantity": 3, "price": "6.00", "vatRate": 20}],
 "VATs": [{"rate": 10, "net": "1121.18", "vat": "112.12", "gross": "1233.30"},
          {"rate": 20, "net": "15.00", "vat": "3.00", "gross": "18.00"}]}
JSON
announce <<'JSON'
{"type": "terminated", "orderID": "20261121043", "orderInternalID": "8841208", "price": "-12.90", "VAT": "-1.17",
 "validationDate": "2026-11-21 15:20:41", "cashBoxID": "1", "deliveryMethod": "2", "isRefund": true,
 "items": [{"title": "Menu midi", "quantity": -1, "price": "12.90", "vatRate": 10}],
 "VATs": [{"rate": 10, "net": "-11.73", "vat": "-1.17", "gross": "-12.90"}]}
JSON
announce <<'JSON'
{"type": "validated", "orderID": "20261121046", "orderInternalID": "8841211", "price": "96.00", "VAT": "16.00",
 "validationDate": "2026-11-21 16:40:12", "cashBoxID": "1", "isRefund": false,
 "VATs": [{"rate": 20, "net": "80.00", "vat": "16.00", "gross": "96.00"}]}
JSON
for order in 20261121042 20261121043; do
    printf '%%PDF-1.7\n%% %s\n' "$order" >invoice.pdf
    "$tillhook" invoices import invoice.pdf --order "$order" >/dev/null
done

# Chromium's window has a least width, so the narrow picture is of a frame of 320 px; it is as high as asked for, and what
# is empty is cut off. A page is dark only where the system is.
shoot() { # page, width, scheme, picture
    local dark=() background="#f4f4f1"
    if [ "$3" = dark ]; then dark=(--blink-settings=preferredColorScheme=0); background="#161615"; fi
    printf '<!doctype html><body style="margin:0;background:%s"><iframe src="%s" width="%s" height="1400" style="border:0"></iframe>' \
        "$background" "$1" "$2" >"$4.html"
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files "${dark[@]}" \
        --window-size=640,1400 --screenshot="$4.png" "file://$work/$4.html" >/dev/null 2>&1
    /usr/bin/python3 - "$4.png" "$2" "$images/$4.png" <<'PYTHON'
import sys
from PIL import Image, ImageChops
source, width, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
page = Image.open(source).convert("RGB").crop((0, 0, width, 1400))
empty = Image.new("RGB", page.size, page.getpixel((2, 1398)))
bottom = ImageChops.difference(page, empty).getbbox()[3]
page.crop((0, 0, width, min(bottom + 16, 1400))).quantize(128).save(target, optimize=True)
PYTHON
}
# Mails that answer to an earlier one or tell of trouble are those that the tests compare with, with their front matter cut off.
for language in fr en; do
    for mail in reply_paid alert_invoice_missing digest_correction; do
        name=mail-$(echo "$mail" | sed 's/^[a-z]*_//; s/_/-/g')-$language
        awk 'lines > 1; /^---$/ { lines++ }' "$sources/src/sink/email/snapshots/${mail}_$language.html.snap" >"$name.html"
        for width in 600 320; do
            for scheme in light dark; do shoot "$name.html" "$width" "$scheme" "$name-$width-$scheme"; done
        done
    done
    for mail in invoice:20261121042 refund:20261121043 digest:2026-11-21; do
        name=mail-${mail%:*}-$language
        if [ "${mail%:*}" = digest ]; then
            "$tillhook" render "digest-$language" --day "${mail#*:}" --html >"$name.html"
        else
            "$tillhook" render "$language" --order "${mail#*:}" --html >"$name.html"
        fi
        for width in 600 320; do
            for scheme in light dark; do shoot "$name.html" "$width" "$scheme" "$name-$width-$scheme"; done
        done
    done
done
ls -l "$images"
