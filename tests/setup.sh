# Sourced by quickstart and run-tests: what the project needs on a machine, and how it gets there.
# Written for POSIX sh; the caller has set $root to the top of the tree.

# To build: a C compiler, meson, and the libraries that meson.build asks for.
packages_build="gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libelf-dev libdw-dev libsmartcols-dev libcapstone-dev libiberty-dev"
# To test, besides. gdb makes snapshots; libc6-dbg has libc's symbols; patchelf starts samples under other loaders; git and
# those after it are programs that are looked at; make and those after it build more of them. man-db and mandoc format
# the manual; zsh has its completion tried.
packages_test="g++ gdb libc6-dbg valgrind libjson-glib-dev patchelf python3 binutils git openssl perl sqlite3 xz-utils
make bison libevent-dev libncurses-dev man-db mandoc zsh"
# Where the distribution still has them (other versions format and warn differently, libraries change their names): their
# tests are skipped without them. The allocators are loaded in place of glibc's; jq and bc are looked at.
packages_test_optional="clang-format-14 clang-tidy-14 libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 musl-tools dwz python3.11-dbg jq bc"

fedora_build="gcc meson ninja-build pkgconf-pkg-config glib2-devel elfutils-devel libsmartcols-devel capstone-devel binutils-devel"
fedora_test="gcc-c++ gdb valgrind json-glib-devel patchelf python3 binutils git openssl perl sqlite xz man-db zsh"
arch_build="gcc meson ninja pkgconf glib2 libelf util-linux-libs capstone binutils"
arch_test="gdb valgrind json-glib patchelf python binutils git openssl perl sqlite xz man-db zsh"

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Whether everything is there to build, wherever it came from.
can_build() {
    have cc && have meson && have ninja && have pkg-config &&
        pkg-config --exists 'glib-2.0 >= 2.74' libelf 'libdw >= 0.188' smartcols capstone
}

# Whether everything is there that run-tests needs besides.
can_test() {
    have gdb && have valgrind && have patchelf && have python3 && have readelf &&
        pkg-config --exists json-glib-1.0
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        say "Installing packages takes root; there is no sudo here. As root: $*"
        return 1
    fi
}

# install_packages PACKAGE...: installs those that are missing; quiet unless it fails.
install_packages() {
    missing=
    for package; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *' installed') ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    say "Installing$missing ..."
    as_root apt-get -qq update >/dev/null || say "apt-get update failed; trying with the lists that are here."
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

# prepare_build: everything that building takes.
prepare_build() {
    can_build && return 0
    if have apt-get; then
        # shellcheck disable=SC2086
        install_packages $packages_build || die "The packages could not be installed."
        can_build || die "This needs GLib 2.74, libdw 0.188 and meson 1.0 or newer: Debian 12, Ubuntu 24.04 or later."
        return 0
    fi
    say "There is no apt-get here. Install what building takes, and run this again:"
    say "  Fedora: sudo dnf install $fedora_build"
    die "  Arch:   sudo pacman -S --needed $arch_build"
}

# prepare_tests: everything that the tests take besides; goes on without, for tests say what they miss.
prepare_tests() {
    if have apt-get; then
        # shellcheck disable=SC2086
        install_packages $packages_test ||
            say "Some packages could not be installed; tests that need them are skipped."
        for package in $packages_test_optional; do
            if apt-cache show "$package" >/dev/null 2>&1; then
                install_packages "$package" || say "$package could not be installed; its test is skipped."
            fi
        done
    elif ! can_test; then
        say "There is no apt-get here. Tests that need what is missing are skipped; all that they take:"
        say "  Fedora: sudo dnf install $fedora_test && sudo dnf debuginfo-install glibc"
        say "  Arch:   sudo pacman -S --needed $arch_test"
    fi
}

# build FOLDER TARGETS OPTION...: configures once, builds TARGETS ("" is all); shows the log where it fails.
build() {
    folder=$1 targets=$2
    shift 2
    log=$folder.log
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
        meson setup "$folder" "$root" "$@" >"$log" 2>&1 || {
            cat "$log" >&2
            return 1
        }
    fi
    # shellcheck disable=SC2086
    ninja -C "$folder" $targets >"$log" 2>&1 || {
        cat "$log" >&2
        return 1
    }
    rm -f "$log"
}
