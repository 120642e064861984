#!/bin/sh
# rust/identifier has no I/O, threads or clock: its clippy.toml forbids them. Plants a violation in a copy, and sees it caught.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/rust/identifier/src" "$root/rust/identifier/clippy.toml" "$work"
sed -e '/^\[lints\]/,/^$/d' -e 's/\.workspace = true/ = "0"/' -e '/^\(rust-version\|edition\|license\|repository\|version\) /d' \
    -e '/^\[package\]/a version = "0.0.0"\nedition = "2024"' -e '/^\[dev-dependencies\]/,$d' \
    "$root/rust/identifier/Cargo.toml" > "$work/Cargo.toml"
printf '\n[workspace]\n' >> "$work/Cargo.toml"
check() { cargo clippy --quiet --offline --manifest-path "$work/Cargo.toml" --target-dir "$work/target" -- -D warnings 2>&1; }
check
printf '\npub fn planted() -> std::time::Instant { std::time::Instant::now() }\n' >> "$work/src/lib.rs"
if check | grep -q disallowed_methods; then
    echo "identifier: a planted clock was caught"
else
    echo "identifier: a planted clock was NOT caught" >&2
    exit 1
fi
