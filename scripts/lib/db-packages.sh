# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # see db-common.sh
# Servers from the distribution's own packages: what apt offers, and installing it. Sets S[bin].
# Adds no package source to the machine.

TARGET_MAJOR=17

apt_offers() {
    have apt-cache && [[ -n $(apt-cache --quiet=0 madison "$1" 2>/dev/null) ]]
}

installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# A fresh container has no package lists at all.
apt_lists_ensure() {
    have apt-get || return 0
    apt_offers postgresql || with_lock "$LOCK_DIR/apt" apt_update
}

apt_update() {
    # Somebody else may have done it while this one waited for the lock.
    ! apt_offers postgresql || return 0
    say "apt-get update"
    as_root apt-get -qq update >&2 || say "apt-get update failed, going on without it"
}

target_packages_available() {
    installed "postgresql-$TARGET_MAJOR-timescaledb" && return
    apt_lists_ensure
    apt_offers "postgresql-$TARGET_MAJOR-timescaledb"
}

# Debian 12 has 15, Debian 13 has 17: whatever the distribution itself calls PostgreSQL.
source_major() {
    local major
    for major in 15 16 17 18 14 13; do
        if installed "postgresql-$major-partman" && installed "postgresql-$major-postgis-3"; then
            echo "$major"
            return
        fi
    done
    apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1
}

source_packages_available() {
    have apt-get || return 1
    [[ -n $(source_major) ]] && return
    apt_lists_ensure
    [[ -n $(source_major) ]]
}

# Under the lock `apt`.
packages_ensure() {
    local role=$1 major package missing=() wanted
    if [[ $role == target ]]; then
        major=$TARGET_MAJOR
        wanted="postgresql-$major postgresql-$major-timescaledb postgresql-$major-postgis-3 postgresql-$major-partman"
    else
        major=$(source_major)
        wanted="postgresql-$major postgresql-$major-postgis-3 postgresql-$major-partman"
    fi
    for package in $wanted; do
        installed "$package" || missing+=("$package")
    done
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
    S[root]=
    S[bin]=/usr/lib/postgresql/$major/bin
    [[ -x ${S[bin]}/initdb ]] || die 1 "${S[bin]} has no initdb, although its package is installed"
}

# Debian's package would create and start a cluster `main` on installation. While ours installs, it
# is told not to.
apt_install() {
    local hold=/etc/postgresql-common/createcluster.d/hyperhaul.conf began=$SECONDS log=$CACHE/apt.log pid
    say "installing ${*}; log in $log"
    as_root mkdir -p "${hold%/*}"
    echo 'create_main_cluster = false' | as_root tee "$hold" >/dev/null
    (as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
        "$@") >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        (((SECONDS - began) % 10 != 0)) || say "still installing: $(tail -n 1 "$log" | cut -c1-100)"
    done
    local status=0
    wait "$pid" || status=$?
    as_root rm -f "$hold"
    as_root rmdir --ignore-fail-on-non-empty "${hold%/*}"
    if ((status != 0)); then
        tail -n 15 "$log" >&2
        die 1 "apt-get install failed; if it did not find a package, run apt-get update and try again"
    fi
    say "installed in $((SECONDS - began)) s"
}

# services_held COMMAND...: what it installs starts no service of its own (deb-systemd-invoke and invoke-rc.d ask policy-rc.d).
services_held() {
    local policy=/usr/sbin/policy-rc.d mark='# scripts/db: while it installs' status=0
    # One of ours was left by a call that was killed.
    if [[ -e $policy ]] && ! grep -qxF "$mark" "$policy"; then
        "$@"
        return
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    ("$@") || status=$?
    as_root rm -f "$policy"
    return "$status"
}
