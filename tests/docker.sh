#!/usr/bin/env bash
# Builds the image by the Dockerfile and tries it, without a Docker engine and without a registry of images: with
# Buildah, on stand-ins for the two base images that are made of Debian's packages and the Rust toolchain at hand.
# Needs Debian 12, root, and about ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d -p /var/tmp)
user=4321:4321 # nobody in particular
serving=
export STORAGE_DRIVER=vfs
b() { buildah --root "$work/images" --runroot "$work/run" "$@"; }
step() { printf '\n== %s\n' "$*"; }
fail() { printf 'tests/docker.sh: %s\n' "$*" >&2; exit 1; }
finish() {
    [ -z "$serving" ] || kill "$serving" || true
    b rm --all >/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

step "Buildah and debootstrap"
apt-get update -q
apt-get install -y -q --no-install-recommends buildah debootstrap

step "A stand-in for the Rust image"
debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$work/build"
cp -a "$(rustc --print sysroot)"/{bin,lib} "$work/build/usr/local/"
mkdir "$work/build/usr/local/cargo"
cargo vendor --locked --versioned-dirs "$work/build/usr/local/cargo/vendor" >/dev/null
cat >"$work/build/usr/local/cargo/config.toml" <<'TOML'
source.crates-io.replace-with = "vendored"
source.vendored.directory = "/usr/local/cargo/vendor"
TOML

step "A stand-in for the runtime image: the C library and nothing to type into"
mkdir "$work/runtime" "$work/packages"
(cd "$work/packages" && apt-get download -q -o APT::Sandbox::User=root base-files libc6 libgcc-s1)
for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/runtime"; done

for image in build runtime; do
    container=$(b from scratch)
    b add -q "$container" "$work/$image" / >/dev/null
    b config --env PATH=/usr/local/bin:/usr/bin:/bin --env CARGO_HOME=/usr/local/cargo "$container"
    b commit -q "$container" "localhost/$image" >/dev/null
    b rm "$container" >/dev/null
    rm -rf "${work:?}/$image"
done

step "The image"
b bud --isolation chroot --format docker -t tillhook \
    --build-arg BUILD_IMAGE=localhost/build --build-arg RUNTIME_IMAGE=localhost/runtime .

step "A container"
container=$(b from localhost/tillhook)
root=$(b mount "$container")
inside=(buildah --root "$work/images" --runroot "$work/run" run --isolation chroot --user "$user"
    --env TILLHOOK_SERVER__LISTEN=127.0.0.1:18080 "$container" --)

[ "$(stat -c %a "$root/data")" = 1777 ] || fail "/data is not writable for any user"
[ -s "$root/etc/ssl/certs/ca-certificates.crt" ] || fail "there are no certificates"
[ ! -e "$root/bin/sh" ] || fail "there is a shell"
"${inside[@]}" /tillhook --version

"${inside[@]}" /tillhook serve &
serving=$!
for _ in $(seq 100); do
    "${inside[@]}" /tillhook healthcheck >/dev/null 2>&1 && healthy=1 && break
    sleep 0.2
done
[ "${healthy-}" ] || fail "the service does not become healthy"
# Buildah keeps what an image declares as a volume outside of the container's root.
database=$(find "$work/images" -path '*/buildah-volumes/*' -name tillhook.db)
[ "$(stat -c %a:%u:%g "$database")" = "600:$user" ] || fail "the database is not readable by its user alone"

step "The image is as it should be"
