# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # see db-common.sh
# A Debian 13 root in the cache folder, made once by debootstrap, for machines whose distribution has
# no TimescaleDB. Servers run from it side by side; it is never written to but when it is made.

ROOT_PACKAGES=ca-certificates,postgresql-17,postgresql-17-timescaledb,postgresql-17-postgis-3,postgresql-17-partman
ROOT_SUITE=trixie

# Under the lock `root`. Sets S[root] and S[bin].
root_ensure() {
    local root=$CACHE/root-$ROOT_SUITE
    S[root]=$root
    S[bin]=/usr/lib/postgresql/17/bin
    [[ "$(cat "$root/.made-by-hyperhaul" 2>/dev/null)" == "$ROOT_PACKAGES" ]] && return
    if [[ -d $root ]]; then
        say "the Debian root has other packages than wanted, making it anew"
        root_remove "$root"
    fi
    root_make "$root"
}

root_remove() {
    # A bind mount left in there by hand would be emptied along: refuse to cross file systems.
    as_root rm -rf --one-file-system "$1"
}

root_make() {
    local root=$1 began=$SECONDS mirror pid log=$CACHE/debootstrap.log status=0
    have debootstrap || with_lock "$LOCK_DIR/apt" apt_install debootstrap
    mirror=$(debian_mirror)
    root_remove "$root.partial"
    mkdir -p "$root.partial"
    say "making a Debian 13 root with PostgreSQL 17 and TimescaleDB in $root (about a minute, 0.8 GB); log in $log"
    # In a mount namespace of its own: a killed debootstrap leaves /proc mounted otherwise. Nothing is
    # worth an fsync in here: a root that is not complete is thrown away.
    # shellcheck disable=SC2016
    as_root env http_proxy="${http_proxy:-$(apt_proxy)}" DEBIAN_FRONTEND=noninteractive \
        unshare --mount --propagation private -- bash -c '
            set -eu
            mkdir -p "$1/etc/dpkg/dpkg.cfg.d" "$1/etc/postgresql-common/createcluster.d"
            echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/hyperhaul"
            echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.d/hyperhaul.conf"
            debootstrap --variant=minbase --include="$2" "$3" "$1" "$4"
            rm -f "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*_Packages
        ' make-root "$root.partial" "$ROOT_PACKAGES" "$ROOT_SUITE" "$mirror" >"$log" 2>&1 </dev/null &
    pid=$!
    root_progress "$pid" "$log"
    wait "$pid" || status=$?
    if ((status != 0)); then
        tail -n 15 "$log" >&2
        root_remove "$root.partial"
        die 1 "debootstrap failed (log: $log); HYPERHAUL_DEBIAN_MIRROR names another mirror than $(hide_password "$mirror")"
    fi
    # Whoever looks after the rename sees a whole root; the mark says which one.
    printf '%s\n' "$ROOT_PACKAGES" | as_root tee "$root.partial/.made-by-hyperhaul" >/dev/null
    as_root mv "$root.partial" "$root"
    say "Debian 13 root made in $((SECONDS - began)) s"
}

# One line every five seconds: which phase, and how many packages are through it.
root_progress() {
    local pid=$1 log=$2 line last=$SECONDS
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.5
        ((SECONDS - last >= 5)) || continue
        last=$SECONDS
        line=$(awk '
            /^I: (Retrieving|Extracting|Unpacking|Configuring) / { phase = $2; count[phase]++ }
            /^I: Found additional|^I: Resolving/ { phase = "Resolving" }
            END { if (phase != "") printf "%s, package %d", tolower(phase), count[phase] }' "$log")
        [[ -z $line ]] || say "debootstrap: $line"
    done
}

hide_password() {
    sed -E 's#//[^/@]*@#//#' <<<"$1"
}

apt_proxy() {
    have apt-config || return 0
    local proxy=
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [[ $proxy == DIRECT ]] || echo "$proxy"
}

# The mirror that apt itself uses here for the distribution's main archive, else Debian's own.
debian_mirror() {
    local uri
    if [[ -n ${HYPERHAUL_DEBIAN_MIRROR:-} ]]; then
        echo "$HYPERHAUL_DEBIAN_MIRROR"
        return
    fi
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "main" && $3 ~ /^https?:/ { print $3; exit }') || true
    echo "${uri:-http://deb.debian.org/debian}"
}
